// Package conformance checks what an implementation promises, and reports each broken promise once.
package conformance

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Check collects the problems of one promise. It is not safe for concurrent use.
type Check struct {
	testing.TB

	problems []string
}

// Run checks a promise. If it is broken, t fails once, with all problems. If all callers up to the suite's own function
// are helpers ([testing.TB.Helper]), the failure has the line that called the suite; the functions of the check need
// not be.
func Run(t testing.TB, promise string, check func(*Check)) {
	t.Helper()
	c := &Check{TB: t}
	done := make(chan struct{})
	go func() { // which Fatalf ends
		defer close(done)
		check(c)
	}()
	<-done
	c.Report(promise)
}

// Report fails the test if there are problems.
func (c *Check) Report(promise string) {
	c.Helper()
	switch len(c.problems) {
	case 0:
	case 1:
		c.TB.Errorf("broken promise: %s: %s", promise, c.problems[0])
	default:
		c.TB.Errorf("broken promise: %s:\n\t%s", promise, strings.Join(c.problems, "\n\t"))
	}
}

// Errorf adds a problem, unless it is known.
func (c *Check) Errorf(format string, args ...any) {
	if p := fmt.Sprintf(format, args...); !slices.Contains(c.problems, p) {
		c.problems = append(c.problems, p)
	}
}

// Fatalf adds a problem and ends the check.
func (c *Check) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

// True adds a problem and ends the check if a condition is not met.
func (c *Check) True(met bool, format string, args ...any) {
	if !met {
		c.Fatalf(format, args...)
	}
}

// NoError adds a problem and ends the check if there is an error.
func (c *Check) NoError(err error) { c.True(err == nil, "unexpected error: %v", err) }

// ErrorIs adds a problem and ends the check if an error does not match another one.
func (c *Check) ErrorIs(err, target error) {
	c.True(errors.Is(err, target), "the error is %v, and should match: %v", err, target)
}

// Checks collects the problems of many promises. It is safe for concurrent use.
type Checks struct {
	mu       sync.Mutex
	t        testing.TB
	promises []string
	checks   map[string]*Check
}

// NewChecks returns checks that are reported when the test ends, at the line of the caller of its caller, which must be
// a helper.
func NewChecks(t testing.TB) *Checks {
	t.Helper()
	c := &Checks{t: t, checks: map[string]*Check{}}
	t.Cleanup(func() {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.promises {
			c.checks[p].Report(p)
		}
	})
	return c
}

// Require adds a problem with a promise, unless it is kept.
func (c *Checks) Require(kept bool, promise, format string, args ...any) {
	if kept {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checks[promise] == nil {
		c.promises = append(c.promises, promise)
		c.checks[promise] = &Check{TB: c.t}
	}
	c.checks[promise].Errorf(format, args...)
}
