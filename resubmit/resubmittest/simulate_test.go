package resubmittest_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func TestSimulateRules(t *testing.T) {
	t.Parallel()
	counts := resubmittest.Simulate(t, resubmittest.Config{
		Worlds: 60, FirstSeed: 1_000_000,
		Plan: func(c *resubmit.PlanConfig) {
			c.Rules = append([]rules.Rule{{
				ID: "nothing", Classes: []failure.Class{failure.Transient, failure.Permanent, failure.Unclassified,
					failure.AlreadyProvisioned},
				Action: rules.Hold, Why: "not today",
			}}, c.Rules...)
		},
	})
	require.Zero(t, counts["orders to resubmit"])
	require.Zero(t, counts["pushes"])
	require.NotZero(t, counts["crash while planning, before a call"])
}

func TestSimulateJournal(t *testing.T) {
	t.Parallel()
	counts := resubmittest.Simulate(t, resubmittest.Config{
		Worlds: testkit.Scale(60, 20), FirstSeed: 2_000_000,
		Journal: func(dir string) (resubmit.Journal, error) {
			return journal.Open(filepath.Join(dir, "journal"))
		},
	})
	require.NotZero(t, counts["intents without an outcome found after a restart"])
}
