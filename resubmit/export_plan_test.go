package resubmit

// ReadPlanAgain is OpenPlanAgain for a plan that is not in a file.
var ReadPlanAgain = readPlan
