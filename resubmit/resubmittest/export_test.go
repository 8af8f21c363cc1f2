package resubmittest

import "testing"

// Promises are what a suite checks.
func Promises(suite string) (promises []string) {
	for _, c := range suites()[suite] {
		promises = append(promises, c.promise)
	}
	return promises
}

// Prove runs one check of a suite.
func Prove(t testing.TB, suite, promise string, f Fixture) {
	t.Helper()
	for _, c := range suites()[suite] {
		if c.promise == promise {
			c.prove(t, f)
		}
	}
}

// Unproved are the promises that need faults which the fixture does not have.
func Unproved(suite string, f Fixture) []string { return unproved(f, suites()[suite]) }

func suites() map[string][]check {
	return map[string][]check{"source": sourceChecks(), "reader": readerChecks(), "pusher": pusherChecks()}
}
