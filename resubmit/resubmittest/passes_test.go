package resubmittest_test

import (
	"flag"
	"testing"
)

// passes runs a test in an example. It prints nothing unless the test fails, even with -v.
func passes(test func(*testing.T)) bool {
	verbose := flag.Lookup("test.v").Value
	before := verbose.String()
	if err := verbose.Set("false"); err != nil {
		return false
	}
	defer func() { _ = verbose.Set(before) }() // the value was valid before
	all := func(_, _ string) (bool, error) { return true, nil }
	return testing.RunTests(all, []testing.InternalTest{{Name: "Test", F: test}})
}
