package resubmittest

import "testing"

// Promises returns the promises of a suite.
func Promises(suite string) (promises []string) {
	for _, c := range suites()[suite] {
		promises = append(promises, c.text)
	}
	return promises
}

// Check checks one promise of a suite.
func Check(t testing.TB, suite, promise string, f Fixture) {
	t.Helper()
	for _, c := range suites()[suite] {
		if c.text == promise {
			c.check(t, f)
		}
	}
}

// Unchecked returns the promises that need faults which the fixture lacks.
func Unchecked(suite string, f Fixture) []string { return unchecked(f, suites()[suite]) }

func suites() map[string][]promise {
	return map[string][]promise{"lister": listerPromises(), "reader": readerPromises(), "pusher": pusherPromises()}
}
