package cloudblue_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

var (
	ruleID     = regexp.MustCompile(`(?m)^\s+(?:id|id[A-Z]\w*|ID[A-Z]\w*)(?::| =) "([a-z-]+)"`)
	exitStatus = regexp.MustCompile(`(?m)^\s+exit[A-Z]\w+\s+= (\d)\b`)
)

// The runbook says what to do about everything that the program can say about an order, and about every exit status.
func TestRunbook(t *testing.T) {
	t.Parallel()
	runbook := read(t, "examples/aftermaintenance/RUNBOOK.md")
	for _, o := range protocol.Outcomes() {
		require.Contains(t, runbook, "\n| `"+string(o)+"` |", "the outcome %s", o)
	}
	for _, a := range rules.Actions() {
		require.Contains(t, runbook, "\n| `"+string(a)+"` |", "the action %s", a)
	}
	statuses := exitStatus.FindAllStringSubmatch(read(t, "examples/aftermaintenance/exit.go"), -1)
	require.Len(t, statuses, 7)
	for _, m := range statuses {
		require.Contains(t, runbook, "\n| "+m[1]+" |", "the exit status %s", m[1])
	}
	safety := read(t, "resubmit/SAFETY.md")
	ids := ruleID.FindAllStringSubmatch(read(t, "resubmit/rules/*.go"), -1)
	require.Greater(t, len(ids), 20)
	proceeds := map[string]bool{ // orders that they resubmit need nobody
		"connect-not-asked": true, "connect-none": true, "connect-older": true, "connect-failed-cancel": true,
		"connect-failed-change": true, "connect-under-way": true, "connect-approved": true,
	}
	for _, m := range ids {
		require.Contains(t, safety, "`"+m[1]+"`", "SAFETY.md has no rule %s", m[1])
		if !proceeds[m[1]] {
			require.Contains(t, runbook, "`"+m[1]+"`", "the rule %s", m[1])
		}
	}
}

// read returns the text of the files that match a pattern.
func read(t *testing.T, pattern string) (text string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		text += string(data)
	}
	return text
}
