package state

import (
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// unanswered adds an order to the journal whose push had no answer an hour ago.
func (w *world) unanswered(id, run string, epoch uint64) {
	w.t.Helper()
	for _, j := range w.journals {
		_, err := j.Put(w.t.Context(), resubmit.Durable, protocol.Record{
			Key: protocol.OrderKey(id), Order: &protocol.Order{
				Number: "SO" + id, Run: run, Epoch: epoch, Phase: protocol.Unanswered, SentAt: time.Now().Add(-time.Hour),
			},
		})
		require.NoError(w.t, err)
	}
}

func (w *world) recordOf(id string) *protocol.Order {
	w.t.Helper()
	for _, j := range w.journals {
		r, err := j.Get(w.t.Context(), protocol.OrderKey(id))
		require.NoError(w.t, err)
		return r.Order
	}
	return nil
}

func TestResolveIsRecordedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(1)...)
	_, err := w.once()
	require.NoError(t, err)
	w.unanswered("7", "sha256:old", 1)
	d := w.open()
	run, _, err := d.runs.newest()
	require.NoError(t, err)
	r := Resolution{Order: "SO7", Outcome: protocol.Completed, By: "ana", Why: "seen in the portal"}
	crash := errors.New("crash")
	resolved := []string{}
	for _, at := range []string{"write " + auditFile, "resolve the order"} {
		w.step = func(name string) error {
			if name == at {
				return crash
			}
			return nil
		}
		require.ErrorIs(t, d.Resolve(t.Context(), r), crash)
		require.Equal(t, protocol.Unanswered, w.recordOf("7").Phase, at)
		require.ElementsMatch(t, resolved, acts(t, d, run))
		resolved = append(resolved, "resolve by ana: seen in the portal")
	}
	w.step = func(string) error { return nil }
	require.NoError(t, d.Resolve(t.Context(), r))
	require.Equal(t, "settled by ana: seen in the portal", w.recordOf("7").Why)
	require.True(t, w.recordOf("7").DoneByHand())
	require.Equal(t, resolved, acts(t, d, run)[:2])
	_, err = d.VerifyAudit()
	require.NoError(t, err)
	r.Order = "8"
	require.ErrorIs(t, d.Resolve(t.Context(), r), fs.ErrNotExist)
}

func TestResolveAndRuns(t *testing.T) {
	t.Parallel()
	t.Run("is left to a process that applies", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			release := running(t, w)
			_, locked := errors.AsType[*LockedError](w.open().Resolve(t.Context(), Resolution{
				Order: "1", Outcome: protocol.Completed, Why: "w",
			}))
			require.True(t, locked)
			_, err := release()
			require.NoError(t, err)
		})
	})
	t.Run("refuses an order of a run on another host", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		_, err := w.once()
		require.NoError(t, err)
		for _, j := range w.journals {
			_, err := j.Put(t.Context(), resubmit.Durable, protocol.Record{
				Key: protocol.LeaseKey("sha256:other", 9), Run: &protocol.Run{Epoch: 9},
			})
			require.NoError(t, err)
		}
		w.unanswered("7", "sha256:other", 9)
		err = w.open().Resolve(t.Context(), Resolution{Order: "7", Outcome: protocol.NotMoved, Why: "w"})
		oneLine(t, err)
		require.ErrorIs(t, err, protocol.ErrUnresolvable)
		require.ErrorContains(t, err, "run sha256:other works on it")
		require.Equal(t, protocol.Unanswered, w.recordOf("7").Phase)
	})
	t.Run("needs an audit log", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		err := w.open().Resolve(t.Context(), Resolution{Order: "7", Outcome: protocol.NotMoved, Why: "w"})
		require.ErrorContains(t, err, "has no run, in whose audit log")
	})
}
