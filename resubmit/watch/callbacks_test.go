package watch_test

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func TestPanicInCallback(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *watch.Config, fail func()){
		"ready": func(c *watch.Config, fail func()) {
			ready := c.Ready
			c.Ready = func(ctx context.Context, since time.Time) availability.Readiness { fail(); return ready(ctx, since) }
		},
		"plan": func(c *watch.Config, fail func()) {
			plan := c.Plan
			c.Plan = func(ctx context.Context, e watch.Episode) (resubmit.PlanConfig, error) {
				fail()
				return plan(ctx, e)
			}
		},
		"journal": func(c *watch.Config, fail func()) {
			c.State.Journal = &failingJournal{Journal: c.State.Journal, fail: fail}
		},
		"anchor": func(c *watch.Config, fail func()) { c.State.Anchor = failingAnchor{c.State.Anchor, fail} },
		"done": func(c *watch.Config, fail func()) {
			done := c.OnClosed
			c.OnClosed = func(e watch.Episode, run *state.Run) { fail(); done(e, run) }
		},
		"windows": func(c *watch.Config, fail func()) {
			windows := c.Windows
			c.Windows = maintenance.SourceFunc(func(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
				fail()
				return windows.Windows(ctx, from, to)
			})
		},
		"outages": func(c *watch.Config, fail func()) { c.Outages = failingOutages{c.Outages, fail} },
		"approve": func(c *watch.Config, fail func()) {
			approve := c.Approve
			c.Approve = func(ctx context.Context, e watch.Episode, p *plan.Plan) (watch.Approval, error) {
				fail()
				return approve(ctx, e, p)
			}
		},
	} {
		for kind, fail := range fails() {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s, _ := announced(2)
					p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
					start, calls := time.Now(), new(atomic.Int64)
					s.run(t, p, nil, func(c *watch.Config) {
						change(c, func() {
							if calls.Add(1); time.Since(start) < 8*time.Hour {
								fail()
							}
						})
					})
					pass(8*time.Hour - time.Minute)
					require.Empty(t, s.episodes())
					require.Less(t, calls.Load(), int64(8*60), "it must not spin")
					switch status := p.watcher.Status(); name {
					case "approve":
						require.Equal(t, watch.PhaseAwaitingApproval, status.Phase)
						require.Contains(t, status.Text, "is not decided yet: a callback panicked: "+whys[kind])
						require.InDelta(t, 20, calls.Load(), 2, "every 15 minutes")
					case "windows":
						require.Equal(t, watch.PhaseNoCalendar, status.Phase)
					default:
						require.Equal(t, watch.PhaseError, status.Phase)
						require.ErrorContains(t, status.Err, whys[kind])
					}
					pass(2 * time.Hour)
					require.Equal(t, 2, s.pushes(), "it continues, and pushes each order once")
					require.Len(t, s.episodes(), 1)
					p.stop(t)
				})
			})
		}
	}
}

type failingOutages struct {
	watch.OutageSource
	fail func()
}

func (o failingOutages) Outages() []availability.Outage { o.fail(); return o.OutageSource.Outages() }

type failingJournal struct {
	resubmit.Journal
	opened atomic.Bool // by watch.New
	fail   func()
}

func (j *failingJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	if j.opened.Swap(true) {
		j.fail()
	}
	return j.Journal.Begin(ctx, u)
}

type failingAnchor struct {
	state.Anchor
	fail func()
}

func (a failingAnchor) Store(ctx context.Context, at plan.Position) error {
	a.fail()
	return a.Anchor.Store(ctx, at)
}

// fails are the ways in which a function does not return.
func fails() map[string]func() {
	return map[string]func(){
		"panic":  func() { panic("the adapter\nis broken \x1b[2J") },
		"goexit": runtime.Goexit, // as t.FailNow does
	}
}

// whys is a part of the error of each.
var whys = map[string]string{"panic": "the adapter is broken", "goexit": "runtime.Goexit was called"}

type nilSource map[string]func()

func (nilSource) Windows(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
	return nil, io.EOF
}

// A typed nil would crash the process later, from a goroutine.
func TestNewRejectsNilCallbacks(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*watch.Config){
		"watch.Config.Windows holds a nil watch_test.nilSource": func(c *watch.Config) { c.Windows = nilSource(nil) },
		"watch.Config.Windows holds a nil maintenance.SourceFunc": func(
			c *watch.Config) {
			c.Windows = maintenance.SourceFunc(nil)
		},
		"watch.Config.Outages holds a nil *availability.Tracker": func(
			c *watch.Config) {
			c.Outages = (*availability.Tracker)(nil)
		},
		"Config.Reader holds a nil *watch_test.shop": func(c *watch.Config) { c.State.Systems.Reader = (*shop)(nil) },
		"Config.Journal holds a nil *resubmit.MemoryJournal": func(c *watch.Config) {
			c.State.Journal = (*resubmit.MemoryJournal)(nil)
		},
	} {
		cfg := (&process{site: newSite(), dir: t.TempDir(), tracker: new(availability.Tracker)}).config()
		change(&cfg)
		_, err := watch.New(t.Context(), cfg)
		require.ErrorContains(t, err, field)
	}
}
