package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// slowJournal takes some time for durable writes, which are made although their context ends meanwhile.
type slowJournal struct {
	resubmit.Journal
	takes time.Duration
}

func (j slowJournal) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	seq, err := j.Journal.Put(ctx, d, records...)
	if d == resubmit.Durable {
		select {
		case <-time.After(j.takes):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return seq, err
}

func TestClaimIsTakenBackIfTheRunEndsMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		p := planFor(t, o)
		var r *resubmit.Runner
		r = runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal = slowJournal{c.Journal, 2 * time.Second}
			c.OnEvent = func(e resubmit.Event) {
				if _, ok := e.(resubmit.PushIntended); ok {
					time.AfterFunc(time.Second, func() { r.Cancel() })
				}
			}
		})
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.Equal(t, resubmit.OutcomeCounts{NotStarted: 1}, report.Result)
		require.Empty(t, s.ledger)
		rec := recordOf(t, 1)
		require.Equal(t, protocol.Open, rec.Phase)
		require.Zero(t, rec.Resubmissions)
	})
}

func TestOrderWhoseNumberIsRecordedUnderAnotherIDIsSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := outageOrder(1, "s1"), outageOrder(2, "s2")
		s := newShop(a, b)
		_, err := journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
			Key: protocol.OrderKey("other"), Order: &protocol.Order{Number: a.Number, Phase: protocol.Ended},
		})
		require.NoError(t, err)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planFor(t, a, b))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1, Skipped: 1}, report.Result)
		require.Contains(t, itemOf(t, report, 1).Why, resubmit.ErrOrderNumber.Error())
		require.Zero(t, s.accepted(a.ID))
	})
}

// TestClaimOfALivingProcessDelaysNoOtherOrder although each order that waits to be pushed takes one of few places.
func TestClaimOfALivingProcessDelaysNoOtherOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := outageOrder(1, "s1"), outageOrder(2, "s2")
		s := newShop(a, b)
		p := planFor(t, a, b)
		leave(t, p, entryFor(a), func(o *protocol.Order) { o.Phase, o.Epoch = protocol.Claimed, 7 })
		_, err := journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
			Key: protocol.LeaseKey(p.Digest(), 7), Run: &protocol.Run{Epoch: 7},
		})
		require.NoError(t, err)
		start := time.Now()
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency = 1 })
		time.AfterFunc(30*time.Second, r.Cancel)
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.Equal(t, 1, s.accepted(b.ID))
		require.Less(t, s.ledger[0].at.Sub(start), 10*time.Second)
		require.Equal(t, protocol.Unknown, itemOf(t, report, 1).Outcome)
	})
}

func TestOrdersThatAnEarlierRunPushedAreProgressingIfTheRunEndsBeforeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var orders []*shopOrder
		for n := range 3 {
			o := outageOrder(n+1, "")
			o.CustomerName = o.ID
			orders = append(orders, o)
		}
		p := planFor(t, orders...)
		for n, phase := range []protocol.Phase{protocol.Pushed, protocol.Pushed, protocol.Unanswered} {
			leave(t, p, entryFor(orders[n]), func(o *protocol.Order) { o.Phase = phase })
			orders[n].Status = commerce.StatusProvisioning
		}
		r := runnerFor(t, newShop(orders...), func(c *resubmit.Config) { c.MaxOpenOrders = 1 })
		time.AfterFunc(time.Minute, r.Cancel)
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.Equal(t, resubmit.OutcomeCounts{Progressing: 2, Unknown: 1}, report.Result)
	})
}
