package resubmit_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestApplyPushesNothingAfterAnAnswerAboutAnotherOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "s1"), outageOrder(2, "s2"))
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Reader = readerFunc(func(ctx context.Context, _ string) (*commerce.Order, error) { return s.Order(ctx, "id-2") })
		})
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		require.Zero(t, s.pushes())
		require.Equal(t, protocol.Skipped, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, `the reader returned order "id-2" instead of "id-1"`)
	})
}

func TestEventsDoNotDelayThePushAfterTheReread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newShop(outageOrder(1, "s1"))
		var reread atomic.Pointer[time.Time]
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent = func(e resubmit.Event) {
				if _, ok := e.(resubmit.OrderReread); ok {
					now := time.Now()
					require.True(t, reread.CompareAndSwap(nil, &now))
					<-time.After(10 * time.Minute)
				}
			}
		})
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		require.Len(t, s.ledger, 1)
		require.Equal(t, start, s.ledger[0].at, "the push is as old as the reading")
		require.Equal(t, start, *reread.Load())
		require.Equal(t, "it has not returned for 10s", report.EventError)
		<-time.After(10 * time.Minute) // until OnEvent has returned
	})
}

func TestCancelDuringTheCalendarCallPreventsThePush(t *testing.T) {
	t.Parallel()
	for at := range 4 {
		t.Run(fmt.Sprintf("at look %d", at+1), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShop(outageOrder(1, "s1"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				looks, over := 0, false
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Calendar = func() *maintenance.Calendar {
						if looks++; looks == at+1 {
							over = true
							cancel()
						}
						return nil
					}
				})
				s.onPush = func(context.Context, string) { require.False(t, over, "a push after the run was cancelled") }
				report, err := r.Apply(ctx, planFor(t, s.orders["id-1"]))
				if over {
					require.ErrorIs(t, err, context.Canceled)
				}
				if report != nil { // else it was cancelled before the run had begun
					require.Equal(t, 1, report.Result.Total())
				}
			})
		})
	}
}

// slowGets is a journal whose answers are old when they come.
type slowGets struct{ resubmit.Journal }

func (j slowGets) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	r, err := j.Journal.Get(ctx, k)
	<-time.After(time.Second)
	return r, err
}

func TestJournalOfTwoRunnersPreventsASecondPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "s1"))
		plan := planFor(t, s.orders["id-1"])
		journal := slowGets{journalOf(t)}
		config := func(c *resubmit.Config) {
			c.Journal, c.Pusher = journal, slowPusher{s, newMeter()}
		}
		first, second := runnerFor(t, s, config), runnerFor(t, s, config)
		var reports [2]*resubmit.Report
		var both sync.WaitGroup
		for i, r := range []*resubmit.Runner{first, second} {
			both.Go(func() {
				var err error
				reports[i], err = r.Apply(t.Context(), plan)
				require.NoError(t, err)
			})
		}
		both.Wait()
		require.Equal(t, 1, s.pushes())
		for _, r := range reports {
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, r.Result)
		}
	})
}

func TestLaneThatIsLongDoesNotStarveOthers(t *testing.T) {
	t.Parallel()
	for _, inHand := range []int{3, 4, 10} {
		t.Run(fmt.Sprintf("with %d in hand", inHand), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var all []*shopOrder
				for n := range 100 {
					o := outageOrder(n, "long")
					o.fates = []fate{{after: time.Minute, status: "CP"}}
					all = append(all, o)
				}
				for n := 100; n < 110; n++ {
					all = append(all, outageOrder(n, fmt.Sprint(n)))
				}
				s := newShop(all...)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxOpenOrders = inHand })
				report, err := r.Apply(t.Context(), planFor(t, all...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 110}, report.Result)
				last := -1
				for _, l := range s.ledger {
					require.Zero(t, l.open, "two orders of one subscription at once")
					n := 0
					_, err := fmt.Sscanf(l.id, "id-%d", &n)
					require.NoError(t, err)
					if n < 100 {
						require.Equal(t, last+1, n, "out of order")
						last = n
						continue
					}
					require.Less(t, l.at.Sub(start), 15*time.Minute, "order %s waited for a lane that is not its own", l.id)
				}
			})
		})
	}
}

func TestLaneThatIsLongIsCountedWhenTheRunStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all []*shopOrder
		for n := range 50 {
			all = append(all, outageOrder(n, "long"))
		}
		s := newShop(all...)
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxOpenOrders = 4 })
		report, err := r.Apply(ctx, planFor(t, all...))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 50, report.Result.Total())
		require.Len(t, report.Items, 50)
		require.Equal(t, 4, report.Result.Completed)
	})
}

func TestRetryAfterOfConnectIsHonored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newShop(outageOrder(1, "s1"))
		s.finderErr = &connect.Error{HTTPStatus: 429, RetryAfter: 2 * time.Hour}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s })
		seen := make(chan resubmit.Status, 1)
		time.AfterFunc(time.Hour, func() { seen <- r.Status() })
		_, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		held := <-seen
		require.Contains(t, held.Gate, "Retry-After")
		require.WithinDuration(t, start.Add(2*time.Hour+10*time.Second), held.Until, 100*time.Millisecond)
		asked := s.calls[len(s.calls)-1]
		for _, at := range s.calls {
			since := at.Sub(start)
			require.False(t, since > 11*time.Second && since < 2*time.Hour+10*time.Second, "a call after %v", since)
		}
		require.Greater(t, asked.Sub(start), 2*time.Hour)
	})
}

func TestResumeDoesNotWaitForAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	for _, phase := range []protocol.Phase{protocol.Claimed, protocol.Unanswered, protocol.Pushed, protocol.Open} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s := newShop(outageOrder(1, "s1"))
				plan := planFor(t, s.orders["id-1"])
				leave(t, plan, entryFor(s.orders["id-1"]), func(o *protocol.Order) {
					o.Phase, o.ClaimedAt, o.FirstClaimAt = phase, start.AddDate(1, 0, 0), start.AddDate(1, 0, 0)
				})
				report, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, phase == protocol.Open, s.pushes() > 0)
				require.Equal(t, 1, report.Result.Total())
				require.LessOrEqual(t, time.Since(start), 30*time.Minute)
			})
		})
	}
}

func TestResumeReportsTheTimeOfThePush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "s1"))
		s.orders["id-1"].fates = []fate{{after: 2 * time.Hour, status: "CP"}}
		r := runnerFor(t, s, nil)
		plan := planFor(t, s.orders["id-1"])
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, itemOf(t, report, 1).Outcome)
		pushed := itemOf(t, report, 1).PushedAt
		require.False(t, pushed.IsZero())
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, pushed, itemOf(t, report, 1).PushedAt)
	})
}

func TestApplyRejectsANilPlan(t *testing.T) {
	t.Parallel()
	r := runnerFor(t, newShop(), nil)
	report, err := r.Apply(t.Context(), nil)
	require.Nil(t, report)
	require.EqualError(t, err, "resubmit: Apply was given no plan; read one with plan.Open or plan.Read")
}

func TestRateLimitRejectsNaN(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -2} {
		_, err := resubmit.NewRunner(resubmit.Config{
			Systems: systemsOf(resubmit.Systems{Reader: newShop(), Pusher: newShop()}), RateLimit: rate,
			Journal: new(resubmit.MemoryJournal),
		})
		require.ErrorContains(t, err, "Config.RateLimit is")
	}
}

// lateJournal takes an hour to begin.
type lateJournal struct{ resubmit.Journal }

func (j lateJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	<-time.After(time.Hour)
	return j.Journal.Begin(ctx, u)
}

func TestControlWorksWhileARunBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		none, err := maintenance.NewCalendar(nil)
		require.NoError(t, err)
		var r *resubmit.Runner
		r = runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal = lateJournal{journalOf(t)}
			c.Calendar = func() *maintenance.Calendar { _ = r.Status(); return none }
		})
		start, plan := time.Now(), planFor(t, o)
		time.AfterFunc(time.Minute, func() {
			_ = r.Status()
			_, err := r.Apply(t.Context(), plan)
			require.ErrorIs(t, err, resubmit.ErrRunning)
			r.Pause()
			require.Equal(t, time.Minute, time.Since(start), "nobody waits for the journal")
			time.AfterFunc(2*time.Hour, r.Resume)
		})
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Equal(t, 2*time.Hour+time.Minute, s.ledger[0].at.Sub(start))
	})
}
