package resubmit

// BreakerState is the state of the breaker.
type BreakerState string
