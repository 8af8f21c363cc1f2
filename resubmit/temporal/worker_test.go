package temporal

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// onStart is a worker that calls a function when it starts.
type onStart struct {
	worker.Worker
	start   func() error
	stopped bool
}

func (w *onStart) Start() error { return w.start() }
func (w *onStart) Stop()        { w.stopped = true }

func TestRunReturnsWhyAWorkerCannotContinue(t *testing.T) {
	t.Parallel()
	gone := errors.New("the namespace is gone")
	w := &Workers{failed: make(chan error, 2), sessions: new(sessions)}
	var also error
	fatal := w.fatal(func(err error) { also = err })
	one, two := &onStart{start: func() error { return nil }}, &onStart{start: func() error { fatal(gone); return nil }}
	w.workers = []worker.Worker{one, two}
	require.ErrorIs(t, w.Run(t.Context()), gone)
	require.ErrorIs(t, also, gone, "the callback of the caller is called too")
	require.True(t, one.stopped && two.stopped)

	one.stopped, two.start = false, func() error { return gone }
	require.ErrorIs(t, w.Run(t.Context()), gone)
	require.True(t, one.stopped)
	ctx, cancel := context.WithCancel(t.Context())
	two.start = func() error { cancel(); return nil }
	require.NoError(t, w.Run(ctx))
}

func TestRunNeedsAServer(t *testing.T) {
	t.Parallel()
	a, _ := newActivities(t, newShop(), nil)
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cfg := a.sessions.cfg
	w, err := NewWorkers(c, cfg.Systems, cfg.Journal, Options{Plans: Dir(""), Runner: cfg})
	require.NoError(t, err)
	require.Error(t, w.Run(t.Context()))
}
