// Package throttle limits the rate of calls, and how many are made at the same time. The planner and the runner of
// package resubmit use it.
package throttle
