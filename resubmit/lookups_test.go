package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// partFinder finds nothing for some keys, and says why.
type partFinder struct {
	*shop
	fails func(k connect.RequestKey) error
}

// keysError are the reasons of some keys.
type keysError map[connect.RequestKey]error

func (e keysError) Error() string                       { return fmt.Sprintf("%d keys failed", len(e)) }
func (e keysError) KeyError(k connect.RequestKey) error { return e[k] }

func (f partFinder) LatestRequests(ctx context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	found, err := f.shop.LatestRequests(ctx, keys)
	failed := make(keysError)
	for _, k := range keys {
		if err := f.fails(k); err != nil {
			failed[k] = err
			delete(found, k)
		}
	}
	if len(failed) > 0 {
		return found, failed
	}
	return found, err
}

func TestLookUpsInConnectAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(600)
		s := newShop(orders...)
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusApproved, "")
		}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 600}, report.Result)
		require.Less(t, s.lookups, 60)
	})
}

func TestLookUpErrorOfAKeyAffectsOnlyItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		orders[3].pushFaults, orders[4].pushFaults = []fault{lostIgnored}, []fault{lostIgnored}
		s := newShop(orders...)
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusApproved, "")
		}
		f := partFinder{s, func(k connect.RequestKey) error {
			if k.SubscriptionID == "3" || k.SubscriptionID == "7" {
				return errors.New("the id has quotes")
			}
			return nil
		}}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = f })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 28, Progressing: 1, Unknown: 1}, report.Result,
			itemOf(t, report, 4).Why)
		require.Equal(t, protocol.Unknown, itemOf(t, report, 3).Outcome, "it is not pushed again without a look-up")
		require.Contains(t, itemOf(t, report, 3).Why, "Connect could not be asked: the id has quotes")
		require.Equal(t, protocol.Progressing, itemOf(t, report, 7).Outcome)
		require.Contains(t, itemOf(t, report, 7).Why, "Connect could not be queried: the id has quotes")
		require.Equal(t, 1, s.accepted("id-4"), "the second push of the order beside it")
	})
}

// A look-up that fails as a whole concerns all of its orders, which wait for Connect.
func TestLookUpErrorOfAllKeysIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(30)
		s := newShop(orders...)
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusApproved, "")
		}
		f := partFinder{s, func(connect.RequestKey) error {
			if time.Since(start) < 10*time.Minute {
				return errors.New("502 Bad Gateway")
			}
			return nil
		}}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = f })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 30}, report.Result)
	})
}
