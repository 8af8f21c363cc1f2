package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// stillDown is a transient failure that is not the plan's.

// breakerDiary keeps the turns of the breaker and when they were.
type breakerDiary struct {
	turns []breakerTurn
	at    []time.Time
	ends  []time.Time // of the runs
}

type breakerTurn struct {
	resubmit.BreakerChange
	run int
}

func (d *breakerDiary) on(e resubmit.Event) {
	switch e := e.(type) {
	case resubmit.BreakerChange:
		d.turns = append(d.turns, breakerTurn{e, len(d.ends)})
		d.at = append(d.at, time.Now())
	case resubmit.RunFinished:
		d.ends = append(d.ends, time.Now())
	}
}

func (d *breakerDiary) states() (states []resubmit.BreakerState) {
	for _, c := range d.turns {
		states = append(states, c.State)
	}
	return states
}

// prober says that Connect is down until some time.
type prober struct {
	until time.Time
	looks []time.Time
	err   error
}

func (p *prober) Probe(context.Context) (connect.Probe, error) {
	p.looks = append(p.looks, time.Now())
	if time.Now().Before(p.until) {
		return connect.Probe{Class: connect.ClassUnavailable}, p.err
	}
	return connect.Probe{Class: connect.ClassUp}, nil
}

// downFor is a shop whose orders fail again for a transient reason as long as
// Connect is down.
func downFor(d time.Duration, orders ...*shopOrder) *shop {
	s := newShop(orders...)
	up := time.Now().Add(d)
	s.fate = func(*shopOrder) fate {
		if time.Now().Before(up) {
			return fate{3 * time.Second, "PF", stillDown}
		}
		return completes
	}
	return s
}

func (s *shop) pushesIn(from, to time.Time) (n int) {
	for _, l := range s.ledger {
		if !l.at.Before(from) && l.at.Before(to) {
			n++
		}
	}
	return n
}

func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	const outage = 21 * time.Minute
	tests := map[string]struct {
		probe *prober
		tried []time.Duration // how long after it opened an order was tried
	}{
		"seen by a probe each minute": {&prober{}, []time.Duration{21 * time.Minute}},
		"a probe that learns nothing is made again": {
			&prober{err: errors.New("no network here")}, []time.Duration{21 * time.Minute},
		},
		"without a probe after 1, 2, 4, 8 and 16 minutes": {nil, []time.Duration{
			time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute,
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(60)
				s := downFor(outage, orders...)
				seen, busy := new(breakerDiary), newMeter()
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Concurrency, c.OnEvent, c.Pusher = 3, seen.on, slowPusher{s, busy}
					if tt.probe != nil {
						tt.probe.until = start.Add(outage)
						c.Prober = tt.probe
					}
				})
				time.AfterFunc(30*time.Second, func() {
					status := r.Status()
					require.Equal(t, resubmit.BreakerOpen, status.Breaker)
					require.Equal(t, 1, status.BreakerOpens)
					require.Contains(t, status.Gate,
						"the breaker is open: 5 of the last 5 orders failed again for a transient reason: "+stillDown)
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, 60, report.Result.Total())
				require.Equal(t, 60, report.Result.Completed+report.Result.FailedAgain)

				require.Equal(t, resubmit.BreakerClosed, seen.turns[len(seen.turns)-1].State)
				tries := 0
				for i, turn := range seen.turns[:len(seen.turns)-1] {
					from, to := seen.at[i], seen.at[i+1]
					switch turn.State {
					case resubmit.BreakerOpen:
						require.Equal(t, i/2+1, turn.Opens)
						require.Zero(t, s.pushesIn(from.Add(time.Second+1), to), "I8: only what was in flight arrives")
						require.LessOrEqual(t, s.pushesIn(from.Add(1), to), 3)
					case resubmit.BreakerHalfOpen:
						require.Equal(t, 1, s.pushesIn(from, to), "one order is tried")
						require.InDelta(t, tt.tried[tries], from.Sub(seen.at[i-1]), float64(time.Minute))
						tries++
					}
				}
				require.Equal(t, len(tt.tried), tries)
				if tt.probe != nil {
					require.Len(t, tt.probe.looks, 21)
				}
				require.GreaterOrEqual(t, report.Result.Completed, 10)
			})
		})
	}
}

func TestBreakerThatOpensTooOftenEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(60)
		s := downFor(100*time.Hour, orders...)
		seen := new(breakerDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent, c.RateLimit, c.Breaker = seen.on, 1, resubmit.BreakerConfig{Failures: 2, SampleSize: 3, Wait: time.Hour,
				MaxOpens: 2}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrCircuitOpen)
		require.ErrorContains(t, err, "the circuit breaker opened too often, 3 times (Config.Breaker.MaxOpens is 2)")
		require.ErrorContains(t, err, stillDown)
		require.Equal(t, err.Error(), report.Err)
		require.Equal(t, 60, report.Result.Total())
		require.Equal(t, 3, seen.turns[len(seen.turns)-1].Opens)
		require.Equal(t, time.Hour, seen.turns[0].Next.Sub(seen.at[0]))
		require.Equal(t, 2*time.Hour, seen.turns[2].Next.Sub(seen.at[2]))
	})
}

func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *shop, c *resubmit.Config){
		"failures that are the vendor's word": func(s *shop, _ *resubmit.Config) {
			s.fate = func(*shopOrder) fate { return fate{3 * time.Second, "PF", "Vendor has failed request PR-1"} }
		},
		"four of twenty that fail again": func(s *shop, _ *resubmit.Config) {
			s.fate = func(o *shopOrder) fate {
				if o.Number[len(o.Number)-1] == '0' || o.Number[len(o.Number)-1] == '5' {
					return fate{3 * time.Second, "PF", stillDown}
				}
				return completes
			}
		},
		"a breaker that is switched off": func(_ *shop, c *resubmit.Config) { c.Breaker.Failures = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(60)
				s := downFor(100*time.Hour, orders...)
				seen := new(breakerDiary)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.RateLimit, c.OnEvent, c.Concurrency = 1, seen.on, 1
					change(s, c)
				})
				_, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Empty(t, seen.turns)
				require.Equal(t, 60, s.pushes())
			})
		})
	}
}

func TestBreakerTriesAnotherOrderIfNothingWasLearnt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		s := downFor(30*time.Second, orders...)
		for _, o := range orders[6:9] { // the next ones are tried while the breaker is open
			o.onRead = moveTo(commerce.StatusCompleted)
		}
		seen := new(breakerDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.OnEvent, c.Concurrency, c.RateLimit = seen.on, 1, 0.5 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, []resubmit.BreakerState{resubmit.BreakerOpen, resubmit.BreakerHalfOpen, resubmit.BreakerClosed},
			seen.states())
		require.Equal(t, 3, report.Result.Skipped)
		require.Equal(t, 17, report.Result.Completed+report.Result.FailedAgain)
	})
}

func TestBreakerClosesForAnOrderThatTakesDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		s := newShop(orders...)
		start := time.Now()
		s.fate = func(*shopOrder) fate {
			if time.Since(start) < 30*time.Second {
				return fate{3 * time.Second, "PF", stillDown}
			}
			return fate{} // for ever
		}
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusPending, "")
		}
		seen := new(breakerDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent, c.Concurrency, c.RateLimit, c.Requests = seen.on, 1, 0.5, s
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, []resubmit.BreakerState{resubmit.BreakerOpen, resubmit.BreakerHalfOpen, resubmit.BreakerClosed},
			seen.states())
		took := seen.at[2].Sub(seen.at[1])
		require.GreaterOrEqual(t, took, 10*time.Minute)
		require.Less(t, took, 20*time.Minute)
		require.Equal(t, 20, report.Result.Progressing+report.Result.FailedAgain)
	})
}

func TestBreakerConfigIsValidated(t *testing.T) {
	t.Parallel()
	for _, b := range []resubmit.BreakerConfig{{Failures: -2}, {SampleSize: -1}, {Failures: 30}, {Wait: -1},
		{MaxOpens: -2}} {
		_, err := resubmit.NewRunner(resubmit.Config{
			Systems: systemsOf(resubmit.Systems{Reader: newShop(), Pusher: newShop()}), Breaker: b,
		})
		require.ErrorContains(t, err, "Config.Breaker")
	}
}

// proberFunc is a Prober.
type proberFunc func(context.Context) (connect.Probe, error)

func (f proberFunc) Probe(ctx context.Context) (connect.Probe, error) { return f(ctx) }

func TestBreakerProbeHonorsRetryAfter(t *testing.T) {
	t.Parallel()
	busy := &connect.Error{Op: "probe", HTTPStatus: 503, RetryAfter: 10 * time.Hour}
	for name, tt := range map[string]struct {
		answer func(context.Context) (connect.Probe, error)
		most   time.Duration
	}{
		"as what was found": {func(context.Context) (connect.Probe, error) {
			return connect.Probe{Class: connect.ClassUnavailable, Err: busy}, nil
		}, 24 * time.Hour},
		"as an error": {func(context.Context) (connect.Probe, error) { return connect.Probe{}, busy },
			24 * time.Hour},
		"no longer than is allowed": {func(context.Context) (connect.Probe, error) { return connect.Probe{}, busy },
			time.Hour},
		"nor if only the client saw it": {func(ctx context.Context) (connect.Probe, error) {
			ratelimit.ReportRetryAfter(ctx, 10*time.Hour)
			return connect.Probe{Class: connect.ClassUnavailable}, nil
		}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(30)
				s := downFor(time.Hour, orders...)
				var asked, next time.Time
				probe := proberFunc(func(ctx context.Context) (connect.Probe, error) {
					if asked.IsZero() {
						asked = time.Now()
						return tt.answer(ctx)
					}
					if next.IsZero() {
						next = time.Now()
					}
					return connect.Probe{Class: connect.ClassUp}, nil
				})
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Prober, c.RateLimit, c.Concurrency, c.MaxRetryAfter = probe, 1, 1,
						tt.most
				})
				_, err := r.Apply(t.Context(), planFor(t, orders...))
				if tt.most < 10*time.Hour {
					require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
					require.Less(t, time.Since(asked), time.Second)
					return
				}
				require.NoError(t, err)
				require.GreaterOrEqual(t, next.Sub(asked), 10*time.Hour)
				for _, c := range s.calls {
					require.False(t, c.After(asked) && c.Before(asked.Add(10*time.Hour)), "nothing goes out")
				}
			})
		})
	}
}

func TestBreakerReportsAFailedProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		s := downFor(time.Hour, orders...)
		probe := &prober{until: time.Now().Add(time.Hour), err: errors.New("no such host")}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Prober, c.RateLimit = probe, 1 })
		time.AfterFunc(30*time.Minute, func() {
			require.Contains(t, r.Status().Gate, "no such host")
		})
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
	})
}

// readingPusher asks something before each push, as a client may, and takes a turn
// for each call.
type readingPusher struct {
	shop   *shop
	before func(id string)
}

func (p readingPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	_ = ratelimit.Wait(ctx)
	p.before(id)
	if err := ratelimit.Wait(ctx); err != nil {
		return &commerce.Error{Op: "push order", Err: err, Delivery: commerce.DeliveryNotSent}
	}
	return p.shop.Push(ctx, id, to)
}

func TestBreakerThatOpensDuringAPushHoldsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		s := downFor(5*time.Minute, orders...)
		opened := make(chan struct{})
		seen := new(breakerDiary)
		p := readingPusher{s, func(id string) {
			if id == "id-5" {
				<-opened
			}
		}}
		var r *resubmit.Runner
		time.AfterFunc(50*time.Second, func() {
			require.Equal(t, resubmit.BreakerOpen, r.Status().Breaker)
			close(opened)
		})
		r = runnerFor(t, s, func(c *resubmit.Config) {
			c.Pusher, c.Concurrency, c.OnEvent, c.RateLimit, c.MaxDeferrals = p, 6, seen.on, 5, -1
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, 30, report.Result.Total())
		for _, l := range s.ledger {
			require.False(t, l.id == "id-5" && l.at.Before(seen.at[1]), "it was not sent yet when the breaker opened")
		}
		require.Equal(t, 1, s.accepted("id-5"))
	})
}

// Orders that another process of the plan has completed do not hide that those of this one fail.
func TestBreakerCountsTheOrdersOfItsOwnProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		s := downFor(100*time.Hour, orders...)
		p := planFor(t, orders...)
		for i, o := range orders {
			o.onRead = func(*shopOrder) {
				for n := i + 1; i%5 == 0 && n < i+5; n++ {
					leave(t, p, entryFor(orders[n]), func(o *protocol.Order) {
						o.Epoch, o.Phase, o.Outcome = holderEpoch, protocol.Ended, protocol.Completed
					})
				}
				o.onRead = nil
			}
		}
		seen := new(breakerDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent, c.Concurrency, c.RateLimit, c.Breaker.MaxOpens = seen.on, 1, 0.5, 1
		})
		_, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCircuitOpen)
		require.Contains(t, seen.turns[0].Why, "5 of the last 5 orders")
	})
}

// recordCircuit records the circuit of another process.
func recordCircuit(t *testing.T, c protocol.System) {
	t.Helper()
	key := protocol.Key{Kind: protocol.KindSystem, ID: "circuit"}
	old, err := journalOf(t).Get(t.Context(), key)
	require.NoError(t, err)
	_, err = journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
		Key: key, Version: old.Version, At: time.Now(), System: &c,
	})
	require.NoError(t, err)
}

// When another process has found that Connect is up, orders that were pushed before do not count any more.
func TestBreakerCountsAnewWhenThatOfAnotherProcessCloses(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"it closes": true, "it was never open": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(30)
				s, failed := newShop(orders...), 0
				s.fate = func(*shopOrder) fate {
					if failed++; failed > 8 {
						return completes
					}
					return fate{3 * time.Second, "PF", stillDown}
				}
				seen := new(breakerDiary)
				var r *resubmit.Runner
				r = runnerFor(t, s, func(c *resubmit.Config) {
					c.MaxOpenOrders, c.RateLimit = 1, 0.5
					c.OnEvent = func(e resubmit.Event) {
						seen.on(e)
						if _, done := e.(resubmit.OrderDone); done && r.Status().Done == 4 {
							r.Pause()
						}
					}
				})
				time.AfterFunc(10*time.Minute, func() {
					require.Equal(t, 4, r.Status().Result.FailedAgain)
					if closes {
						recordCircuit(t, protocol.System{Why: "the breaker is open: Connect is down"})
						<-time.After(time.Minute)
						require.Contains(t, r.Status().Gate, "paused")
						recordCircuit(t, protocol.System{})
						<-time.After(time.Minute)
					}
					r.Resume()
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, 8, report.Result.FailedAgain)
				require.Equal(t, closes, len(seen.turns) == 0, seen.turns)
			})
		})
	}
}

// pollingJournal is one whose runs often read what other processes have recorded.
type pollingJournal struct{ resubmit.Journal }

func (j pollingJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	l, err := j.Journal.Begin(ctx, u)
	l.Poll = time.Second
	return l, err
}

// Each process counts how often the breakers of the others have opened.
func TestBreakersOfAllProcessesOpenTooOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(200)
		s := downFor(1000*time.Hour, orders...)
		all, wait := processesFor(t, s, planFor(t, orders...), 4, func(c *resubmit.Config) {
			c.RateLimit, c.Concurrency, c.Journal = 0.2, 1, pollingJournal{c.Journal}
			c.Breaker = resubmit.BreakerConfig{Failures: 2, MaxOpens: 20}
		})
		wait()
		for _, x := range all {
			require.ErrorIs(t, x.err, resubmit.ErrCircuitOpen)
		}
		require.LessOrEqual(t, s.pushes(), 40)
	})
}

// How often the breaker of a run has opened counts for others while it lives, and not for later ones.
func TestBreakerOfARunThatHasEndedDoesNotEndLaterOnes(t *testing.T) {
	t.Parallel()
	for name, lives := range map[string]bool{"it has ended": false, "it lives": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				left := protocol.System{Why: "the breaker is open: Connect is down", Opens: 40}
				recordCircuit(t, left)
				if lives {
					time.AfterFunc(45*time.Second, func() { recordCircuit(t, left) })
				}
				orders := manyOrders(60)
				s := newShop(orders...)
				report, err := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit = 0.5 }).
					Apply(t.Context(), planFor(t, orders...))
				if lives {
					require.ErrorIs(t, err, resubmit.ErrCircuitOpen)
					return
				}
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 60}, report.Result)
			})
		})
	}
}
