package state_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, dir, cfg := newLossyShop(t)
		d := open(t, dir, cfg)
		_, err := d.Order(t.Context(), "SO000001")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, d.Read(t.Context()))
		h, err := d.Order(t.Context(), "SO000001")
		require.NoError(t, err)
		require.Equal(t, "1", h.ID)
		require.Nil(t, h.Record)
		require.Equal(t, "SO000001", h.Listed.Number)
		require.Empty(t, h.Runs)

		_, err = d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err)
		require.NoError(t, d.Resolve(t.Context(), state.Resolution{
			Order: "SO000001", Outcome: protocol.Completed, By: "ana", Why: "seen in the portal",
		}))
		_, err = d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err)
		calls := len(s.asked)
		s.onPush = func(context.Context, string) error { return errors.New("it calls no system") }
		for _, name := range []string{"1", "SO000001"} {
			h, err = open(t, dir, cfg).Order(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "SO000001"}, []string{h.ID, h.Number})
			require.True(t, h.Record.Order.DoneByHand())
			require.NotNil(t, h.Listed)
			require.Len(t, h.Runs, 2)
			require.Equal(t, rules.Resubmit, h.Runs[0].Entry.Decision.Action)
			require.Equal(t, rules.Complete, h.Runs[1].Entry.Decision.Action)
			var events []string
			for _, e := range h.Runs[0].Events {
				require.Equal(t, "1", e.Order)
				events = append(events, e.Event)
			}
			for _, want := range []string{audit.EventDecision, audit.EventPush, audit.EventOutcome, audit.EventAct} {
				require.Contains(t, events, want)
			}
			require.Zero(t, h.Runs[0].Omitted)
			require.Empty(t, h.Runs[0].Problem)
		}
		require.Len(t, s.asked, calls)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = d.Order(ctx, "1")
		require.ErrorIs(t, err, context.Canceled)
		_, err = d.Order(t.Context(), "SO00000")
		require.ErrorIs(t, err, fs.ErrNotExist, "not a part of a number")
	})
}

func TestOrderIsBoundedAndNamesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, dir, cfg := newLossyShop(t)
		d := open(t, dir, cfg)
		r, err := d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err)
		path := d.Path(r.Runs[0], "audit.jsonl")
		log, err := audit.Open(path, audit.Who{})
		require.NoError(t, err)
		for range 300 {
			require.NoError(t, log.Act(audit.Line{State: "look", By: "ana", Order: "2"}))
		}
		require.NoError(t, log.Close())
		h, err := d.Order(t.Context(), "2")
		require.NoError(t, err)
		require.Len(t, h.Runs[0].Events, 200)
		require.Equal(t, "ana", h.Runs[0].Events[199].By)
		require.GreaterOrEqual(t, h.Runs[0].Omitted, 101)
		require.True(t, slices.IsSortedFunc(h.Runs[0].Events, func(a, b audit.Line) int { return a.N - b.N }))

		plan := d.Path(r.Runs[0], "plan.jsonl")
		content, err := os.ReadFile(plan)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(plan, content[:len(content)-9], 0o600))
		time.Sleep(time.Second)
		h, err = d.Order(t.Context(), "2")
		require.NoError(t, err)
		require.NotEmpty(t, h.Runs[0].Problem)
		require.NotEmpty(t, h.Runs[0].Events, "the rest is shown")

		require.NoError(t, os.Remove(plan))
		require.NoError(t, os.Mkdir(plan, 0o700))
		h, err = d.Order(t.Context(), "2")
		require.NoError(t, err)
		require.NotEmpty(t, h.Runs[0].Problem, "it cannot be read at all")
	})
}
