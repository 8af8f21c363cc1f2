package state_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// lossyShop is a shop with two orders of one subscription. It does not answer the first push of order 1, which changes
// nothing; and orders can be deleted.
type lossyShop struct {
	*busyShop
	asked   map[string]int // pushes, also those without an answer
	deleted map[string]bool
	onAsk   func()
}

func newLossyShop(t *testing.T) (*lossyShop, string, state.Config) {
	t.Helper()
	busy, dir, cfg := newBusyShop(t, 2*time.Hour)
	s := &lossyShop{busyShop: busy, asked: make(map[string]int), deleted: make(map[string]bool), onAsk: func() {}}
	for id, o := range busy.shop {
		o.Type, o.SubscriptionIDs = commerce.TypeChange, []string{"another"}
		if id != "3" {
			o.SubscriptionIDs = []string{"one"}
		}
	}
	busy.onPush = func(_ context.Context, id string) error {
		s.asked[id]++
		if id == "1" && s.asked[id] == 1 {
			s.onAsk()
			return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryUnknown}
		}
		return nil
	}
	cfg.Systems.Lister, cfg.Systems.Reader, cfg.Systems.Pusher = s, s, busy
	return s, dir, cfg
}

func (s *lossyShop) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, id := range []string{"1", "2", "3"} {
			if o := *s.shop[id]; !s.deleted[id] && q.Match(&o) && !yield(&o, nil) {
				return
			}
		}
	}
}

func (s *lossyShop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if s.deleted[id] {
		return nil, &commerce.Error{Op: "read order", Err: commerce.ErrNotFound}
	}
	return s.busyShop.Order(ctx, id)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	// in runs a test after a run in which the push of order 1 was lost, so that order 2 is blocked.
	in := func(t *testing.T, test func(t *testing.T, s *lossyShop, d *state.Dir, cfg state.Config)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newLossyShop(t)
			d := open(t, dir, cfg)
			r, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1, Unknown: 1, Blocked: 1}, r.Runs[0].Result)
			test(t, s, d, cfg)
		})
	}
	once := func(t *testing.T, d *state.Dir, cfg state.Config, named ...string) resubmit.OutcomeCounts {
		t.Helper()
		plan := cfg.Plan
		plan.Override = named
		r, err := d.Once(t.Context(), state.OnceOptions{Plan: &plan})
		if _, early := errors.AsType[*resubmit.TooEarlyError](err); !early {
			require.NoError(t, err)
		}
		return r.Runs[0].Result
	}
	t.Run("completed frees the orders after it, and is never sent again", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, s *lossyShop, d *state.Dir, cfg state.Config) {
			err := d.Resolve(t.Context(), state.Resolution{
				Order: "SO000001", Outcome: protocol.Completed, By: "ana, approver", Why: "seen in the vendor's portal",
			})
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, once(t, d, cfg))
			require.Equal(t, map[string]int{"1": 1, "2": 1, "3": 1}, s.asked)
			runs, err := d.Runs()
			require.NoError(t, err)
			require.Equal(t, 1, runs[1].Counts.Complete, "a person completes it in Commerce, where it is still failed")
			_, err = d.VerifyAudit()
			require.NoError(t, err)
			err = d.Resolve(t.Context(), state.Resolution{Order: "1", Outcome: protocol.NotMoved, Why: "a mistake"})
			require.ErrorIs(t, err, protocol.ErrUnresolvable, "it was settled")
		})
	})
	t.Run("what was not shown is not settled", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, _ *lossyShop, d *state.Dir, _ state.Config) {
			h, err := d.Order(t.Context(), "1")
			require.NoError(t, err)
			r := state.Resolution{Order: "1", Outcome: protocol.NotMoved, Why: "w", Version: h.Record.Version - 1}
			require.ErrorIs(t, d.Resolve(t.Context(), r), state.ErrChanged)
			after, err := d.Order(t.Context(), "1")
			require.NoError(t, err)
			require.Equal(t, h.Record, after.Record)
			r.Version = h.Record.Version
			require.NoError(t, d.Resolve(t.Context(), r))
			require.ErrorIs(t, d.Resolve(t.Context(), r), state.ErrChanged, "it was settled")
		})
	})
	t.Run("not moved allows another push, in its order", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, s *lossyShop, d *state.Dir, cfg state.Config) {
			err := d.Resolve(t.Context(), state.Resolution{
				Order: "1", Outcome: protocol.NotMoved, Why: "support looked at its log",
			})
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{}, once(t, d, cfg), "it is held, and the other one waits for it")
			require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, once(t, d, cfg, "SO000001"))
			require.Equal(t, map[string]int{"1": 2, "2": 1, "3": 1}, s.asked)
		})
	})
	t.Run("without it the order is not sent again", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, s *lossyShop, d *state.Dir, cfg state.Config) {
			for _, named := range [][]string{nil, {"SO000001"}} {
				_, _ = d.Once(t.Context(), state.OnceOptions{})
				once(t, d, cfg, named...)
				require.Equal(t, 1, s.asked["1"])
			}
		})
	})
	t.Run("frees the orders after one that was deleted", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, s *lossyShop, d *state.Dir, cfg state.Config) {
			s.deleted["1"] = true
			require.Equal(t, resubmit.OutcomeCounts{}, once(t, d, cfg))
			err := d.Resolve(t.Context(), state.Resolution{Order: "1", Outcome: protocol.NotMoved, Why: "the customer left"})
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, once(t, d, cfg))
			require.Equal(t, map[string]int{"1": 1, "2": 1, "3": 1}, s.asked)
		})
	})
	t.Run("refuses what cannot be right", func(t *testing.T) {
		t.Parallel()
		in(t, func(t *testing.T, s *lossyShop, d *state.Dir, _ state.Config) {
			for order, want := range map[string]string{
				"SO000003": "its outcome is known: it is completed", "2": "in the journal",
			} {
				err := d.Resolve(t.Context(), state.Resolution{Order: order, Outcome: protocol.Completed, Why: "w"})
				require.ErrorContains(t, err, want)
			}
			err := d.Resolve(t.Context(), state.Resolution{Order: "1", Outcome: protocol.Completed})
			require.ErrorContains(t, err, "and why")
			was := *s.shop["1"]
			for _, move := range []func(o *commerce.Order){
				func(o *commerce.Order) { o.Status = commerce.StatusCompleted },
				func(o *commerce.Order) { o.Status = commerce.StatusProvisioning },
				func(o *commerce.Order) {
					o.Failure = commerce.Failure{Messages: map[string]string{"en_US": "no such seat"}}
				},
				func(o *commerce.Order) { o.FailedAt = time.Now() },
			} {
				o := was
				s.shop["1"] = &o
				move(&o)
				err = d.Resolve(t.Context(), state.Resolution{Order: "1", Outcome: protocol.NotMoved, Why: "w"})
				require.ErrorIs(t, err, protocol.ErrUnresolvable)
				require.ErrorContains(t, err, `as "notMoved": in Commerce it is `)
				require.NotContains(t, err.Error(), "\n")
			}
			was.FailedAt = time.Time{} // a list had it
			s.shop["1"] = &was
			r := state.Resolution{Order: "1", Outcome: protocol.NotMoved, Why: "w"}
			require.NoError(t, d.Resolve(t.Context(), r), "it is the same failure")
		})
	})
	t.Run("waits until the push of a killed process has settled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newLossyShop(t)
			ctx, kill := context.WithCancel(t.Context())
			s.onAsk = kill
			d := open(t, dir, cfg)
			_, err := d.Once(ctx, state.OnceOptions{})
			require.ErrorIs(t, err, context.Canceled)
			r := state.Resolution{Order: "SO000001", Outcome: protocol.NotMoved, Why: "support looked at its log"}
			require.ErrorContains(t, d.Resolve(t.Context(), r), "its push may still act")
			time.Sleep(10 * time.Minute)
			require.NoError(t, d.Resolve(t.Context(), r))
			result, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1, NotMoved: 1, Blocked: 1}, result.Runs[0].Result)
			require.Equal(t, map[string]int{"1": 1, "3": 1}, s.asked)
		})
	})
}
