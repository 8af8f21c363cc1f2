//go:build unix

package sqljournal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

func keys(t *testing.T, j *sqljournal.Journal) (ids []string) {
	t.Helper()
	for r, err := range j.Records(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, r.ID)
	}
	return ids
}

func TestRetention(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		forever, j := p.journalOf(t, db, sqljournal.WithRetention(0)), p.journalOf(t, db)
		at := begin(t, j, "plan").Position
		old, young := time.Now().Add(-401*24*time.Hour), time.Now().Add(-399*24*time.Hour)
		done := func(id string, at time.Time) protocol.Record {
			r := order(id, 0)
			r.At, r.Order.Phase, r.Order.Outcome = at, protocol.Ended, protocol.Completed
			return r
		}
		lane := func(id, order string) protocol.Record {
			return protocol.Record{
				Key: protocol.Key{Kind: protocol.KindLane, ID: id}, At: old, Lane: &protocol.Lane{Order: order},
			}
		}
		failed := order("old and failed", 0)
		failed.At = old
		put(t, j, done("old", old), done("young", young), failed, lane("free", ""), lane("taken", "1"))
		_, err := db.ExecContext(t.Context(), "UPDATE "+p.Prefix+"positions SET written_at = 1")
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "INSERT INTO "+p.Prefix+"positions (sequence, hash, written_at) "+
			"VALUES (0, '', 1)")
		require.NoError(t, err)

		begin(t, forever, "plan")
		require.Len(t, keys(t, j), 5)
		begin(t, j, "")
		require.Len(t, keys(t, j), 5, "a reader must not remove anything")
		last := begin(t, j, "plan").Position
		require.ElementsMatch(t, []string{"young", "old and failed", "taken"}, keys(t, j))
		u := use("")
		u.After = at
		_, err = j.Begin(t.Context(), u)
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch, "an old position is not known any more")
		u.After = last
		_, err = j.Begin(t.Context(), u)
		require.NoError(t, err)
	})
}

func TestPositionsOutliveRecords(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		j := p.journalOf(t, db, sqljournal.WithRetention(24*time.Hour))
		at := begin(t, j, "plan").Position
		_, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE %spositions SET written_at = %d", p.Prefix,
			time.Now().Add(-399*24*time.Hour).UnixMicro()))
		require.NoError(t, err)
		begin(t, j, "plan")
		u := use("")
		u.After = at
		_, err = p.opened(t, db).Begin(t.Context(), u)
		require.NoError(t, err, "the anchor of a state directory may be so old")
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		j := p.journalOf(t, db)
		err := sqljournal.Recover(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix))
		require.ErrorContains(t, err, "call Begin first")
		before := begin(t, j, "plan")
		future := order("future", 0)
		future.At = time.Now().Add(time.Hour)
		future.Order.ClaimedAt = future.At
		seq := put(t, j, order("1", 0), future)
		require.NoError(t, sqljournal.Recover(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix)))

		_, err = j.Put(t.Context(), resubmit.Durable, order("2", 0))
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch, "a run that still uses it must end")
		recovered := p.journalOf(t, db)
		l := begin(t, recovered, "plan")
		require.NotEqual(t, before.Journal, l.Journal)
		require.Greater(t, l.Epoch, before.Epoch)
		require.WithinDuration(t, time.Now(), l.ForgottenBefore, time.Minute)
		require.ElementsMatch(t, []string{"1", "future"}, keys(t, recovered))
		r, err := recovered.Get(t.Context(), future.Key)
		require.NoError(t, err)
		require.Equal(t, seq, r.Version)
		require.Equal(t, l.ForgottenBefore, r.At.UTC())
		require.Equal(t, l.ForgottenBefore, r.Order.ClaimedAt.UTC())
		u := use("")
		u.After = before.Position
		_, err = recovered.Begin(t.Context(), u)
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
	})
}

// TestLeaseClock checks that the end of a lease does not depend on the clock of the process that reads or writes it.
func TestLeaseClock(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		j := p.journalOf(t, db, sqljournal.WithLease(10*time.Minute))
		l := begin(t, j, "plan")
		require.Equal(t, 10*time.Minute, l.Duration)
		key := protocol.LeaseKey("plan", l.Epoch)
		put(t, j, protocol.Record{Key: key, Run: &protocol.Run{Started: time.Now().Add(-24 * time.Hour)}})
		left := func() time.Duration {
			r, err := j.Get(t.Context(), key)
			require.NoError(t, err)
			return time.Until(r.Run.LeaseEnd)
		}
		require.InDelta(t, 10*time.Minute, left(), float64(time.Minute))
		// As if the clock of the database was an hour behind when it was written.
		_, err := db.ExecContext(t.Context(), "UPDATE "+p.Prefix+"records SET lease_end = lease_end - 3600000000")
		require.NoError(t, err)
		require.InDelta(t, -50*time.Minute, left(), float64(time.Minute))
	})
}

// TestText checks that text which the database would change is rejected.
func TestText(t *testing.T) {
	t.Parallel()
	p := placeFor(t, sqljournal.SQLite, t.TempDir())
	j := p.journal(t)
	begin(t, j, "")
	for text, want := range map[string]string{"\xff": "text that is not UTF-8", string(make([]byte, 1<<20)): "more than"} {
		r := order("1", 0)
		r.Order.Why = text
		_, err := j.Put(t.Context(), resubmit.Durable, r)
		require.ErrorContains(t, err, want)
	}
	for i, text := range []string{"�", `\ufffd`, `\\ufffd`, "\x00"} {
		r := order(string(rune('a'+i)), 0)
		r.Order.Why = text
		put(t, j, r)
		got, err := j.Get(t.Context(), r.Key)
		require.NoError(t, err)
		require.Equal(t, text, got.Order.Why)
	}
}
