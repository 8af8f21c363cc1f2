package resubmit

// SplitCheap is splitCheap, for the tests.
var SplitCheap = splitCheap
