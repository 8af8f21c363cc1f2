package watch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func TestRefusedCredentialsAreRetried(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(5)
		var refused atomic.Int64
		var allowed atomic.Bool
		p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) {
			c.State.Systems.Pusher = s
			c.State.Systems.Reader = readerFunc(func(ctx context.Context, id string) (*commerce.Order, error) {
				if !allowed.Load() {
					refused.Add(1)
					return nil, &commerce.Error{Op: "call", HTTPStatus: 401, Delivery: commerce.DeliveryRefused}
				}
				return s.Order(ctx, id)
			})
		})
		pass(5 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseError, status.Phase)
		require.ErrorIs(t, status.Err, commerce.ErrUnauthorized)
		require.Contains(t, status.Text, "Commerce refused the credentials")
		require.Zero(t, s.pushes())
		require.InDelta(t, 15, refused.Load(), 10, "every ten minutes at most")

		allowed.Store(true)
		pass(time.Hour)
		require.Equal(t, 5, s.pushes())
		require.Len(t, s.episodes(), 1)
		require.Equal(t, 5, s.runOf(s.episodes()[0].ID).Report.Result.Completed)
		p.stop(t)
	})
}

func TestPlanOfAnotherSystemIsRejected(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(3)
		p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) {
			c.Plan = func(context.Context, watch.Episode) (resubmit.PlanConfig, error) {
				return resubmit.PlanConfig{Systems: resubmit.Systems{Name: "another", Lister: s}, IgnoreConnect: true}, nil
			}
		})
		pass(24 * time.Hour)
		p.stop(t)
		require.Zero(t, s.pushes())
		require.Empty(t, s.questions())
		require.Contains(t, s.log(),
			`watch.Config.Plan returned Systems of "another", but those of State are of "test shop"`)
	})
}

// A state directory is of one system: nothing is planned for another one.
func TestWatcherForAnotherSystemDoesNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(3)
		s.answer([]watch.Approval{{AskAgainAt: w.End.Add(6 * time.Hour)}})
		dir := t.TempDir()
		p := s.start(t, dir, nil, nil)
		pass(time.Until(w.End.Add(time.Hour)))
		p.stop(t)
		require.Len(t, s.questions(), 1)

		cfg := p.config()
		cfg.State.Systems.Name = "ordermanager https://a.example.net"
		_, err := watch.New(t.Context(), cfg)
		require.ErrorIs(t, err, resubmit.ErrJournalSystem)
		require.Zero(t, s.pushes())
		require.Len(t, s.questions(), 1, "Approve must not get the old plan again")
	})
}

// A plan of which no order may be sent yet is made again.
func TestOrdersThatWaitArePlannedAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(0)
		failed := w.End.Add(3 * time.Minute)
		s.breaks(failed, outage)
		p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
		plans := 0
		s.run(t, p, nil, func(c *watch.Config) {
			c.Plan = func(context.Context, watch.Episode) (resubmit.PlanConfig, error) {
				plans++
				return resubmit.PlanConfig{RateLimit: -1, IgnoreConnect: true, Filter: filter.Everything()}, nil
			}
		})
		pass(time.Until(failed.Add(3 * time.Minute)))
		require.Contains(t, p.watcher.Status().Text, "All its failed orders must wait")
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
		require.False(t, s.ledger[0].at.Before(failed.Add(defaultSettle)))
		require.Equal(t, 2, plans)
		require.Len(t, s.questions(), 1)
		require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
	})
}

type readerFunc func(ctx context.Context, id string) (*commerce.Order, error)

func (f readerFunc) Order(ctx context.Context, id string) (*commerce.Order, error) { return f(ctx, id) }
