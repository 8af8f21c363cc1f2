//go:build unix

package sqljournal_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		a, b := p.journal(t), p.journal(t) // as in two processes
		began := time.Now()
		const gap = 200 * time.Millisecond
		n, first, err := a.Reserve(t.Context(), 1, gap, gap, 0)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.WithinDuration(t, began, first, 100*time.Millisecond, "the first call of all does not wait")

		n, second, err := b.Reserve(t.Context(), 3, gap, gap, 0)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.WithinDuration(t, first.Add(gap), second, 50*time.Millisecond)

		n, third, err := a.Reserve(t.Context(), 1, gap/2, gap, 0)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.WithinDuration(t, second.Add(2*gap+gap/2), third, 50*time.Millisecond, "behind three calls")

		n, again, err := b.Reserve(t.Context(), 1, time.Minute, time.Minute, 0)
		require.NoError(t, err)
		require.Zero(t, n, "it is too far ahead")
		require.WithinDuration(t, third.Add(gap/2+time.Minute-time.Second), again, 50*time.Millisecond)

		n, fourth, err := b.Reserve(t.Context(), 1, gap, gap, 0)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.WithinDuration(t, third.Add(gap/2+gap), fourth, 50*time.Millisecond, "the rest of a gap before it")

		const lead = 2 * time.Second
		began = time.Now()
		n, fifth, err := a.Reserve(t.Context(), 1, gap, gap, lead)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.WithinDuration(t, began.Add(lead), fifth, 100*time.Millisecond, "not before the answer is expected")

		n, again, err = b.Reserve(t.Context(), 1, gap, gap, lead/4)
		require.NoError(t, err)
		require.Zero(t, n, "it is too far ahead")
		require.WithinDuration(t, fifth.Add(gap-time.Second), again, 50*time.Millisecond)
	})
}

// TestReserveAtOnce reserves calls by several processes at the same time. No two may get the same turn.
func TestReserveAtOnce(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		const gap, processes, each = 10 * time.Millisecond, 4, 25
		var mu sync.Mutex
		var turns []time.Time
		var all sync.WaitGroup
		for range processes {
			j := p.journal(t)
			all.Go(func() {
				for n := 0; n < each; {
					reserved, at, err := j.Reserve(t.Context(), 1, gap, gap, 0)
					if err != nil {
						t.Error(err)
						return
					}
					n += reserved
					mu.Lock()
					for range reserved {
						turns = append(turns, at)
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		slices.SortFunc(turns, time.Time.Compare)
		require.Len(t, turns, processes*each)
		require.GreaterOrEqual(t, turns[len(turns)-1].Sub(turns[0]), (processes*each-1)*gap-20*time.Millisecond)
	})
}

// TestReserveIsFairToPushes lets a process make calls all the time, at less than one in two seconds, and another one
// push an order. It takes real time, by the clock of the database.
func TestReserveIsFairToPushes(t *testing.T) {
	t.Parallel()
	const rate = 0.49
	p := placeFor(t, sqljournal.SQLite, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pacer := func() *throttle.Pacer {
		x := throttle.NewPacer(rate, 1, nil)
		x.Share(p.journal(t).Reserve, func(error) { cancel() })
		return x
	}
	busy, pushing := pacer(), pacer()
	require.NoError(t, busy.Wait(ctx, throttle.Any))
	var all sync.WaitGroup
	all.Go(func() {
		for busy.Wait(ctx, throttle.Any) == nil {
		}
	})
	began := time.Now()
	require.NoError(t, pushing.Wait(ctx, throttle.BeforePush))
	require.Less(t, time.Since(began), 15*time.Second)
	read := time.Now()
	require.NoError(t, pushing.Wait(ctx, throttle.Push))
	require.Less(t, time.Since(read), 2*time.Second)
	cancel()
	all.Wait()
}

func TestReserveAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		j := p.journalOf(t, db)
		_, err := db.ExecContext(t.Context(), "UPDATE "+p.Prefix+"calls SET last_at = 9000000000000000") // in 2255
		require.NoError(t, err)
		began := time.Now()
		const gap = 100 * time.Millisecond
		n, at, err := j.Reserve(t.Context(), 1, gap, gap, 0)
		require.NoError(t, err)
		require.Zero(t, n)
		for n == 0 {
			<-time.After(time.Until(at))
			n, at, err = j.Reserve(t.Context(), 1, gap, gap, 0)
			require.NoError(t, err)
		}
		require.WithinDuration(t, began.Add(7*time.Second+2*gap), at, 100*time.Millisecond)
	})
}

// TestReserveAfterARestart reserves calls while the server is killed. What was reserved before must not be reserved
// again.
func TestReserveAfterARestart(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		if d == sqljournal.SQLite {
			continue // has no server
		}
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			s := servers[d].own(t)
			j := place{d, s.driver, s.dsn(s.dir, s.root, s.database(t)), "cloudblue_"}.journal(t)
			const gap = 450 * time.Millisecond
			_, _, err := j.Reserve(t.Context(), 1, gap, gap, 0)
			require.NoError(t, err)
			_, before, err := j.Reserve(t.Context(), 1, gap, gap, 0)
			require.NoError(t, err)
			s.kill(t)
			s.start(t)
			n, after, err := j.Reserve(t.Context(), 1, gap, gap, 0)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.GreaterOrEqual(t, after.Sub(before), gap-50*time.Millisecond)
		})
	}
}
