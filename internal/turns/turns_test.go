package turns_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/turns"
)

type counted struct {
	taken int
	asked time.Duration
	err   error
	held  bool
}

func (c *counted) Turn(context.Context) error { c.taken++; return c.err }

func (c *counted) Asked(d time.Duration) { c.asked += d }

func (c *counted) Held() bool { return c.held }

func TestEachTryButTheFirstTakesATurn(t *testing.T) {
	t.Parallel()
	c := &counted{}
	ctx := turns.With(t.Context(), c)
	require.NoError(t, turns.Take(ctx))
	require.Zero(t, c.taken)
	require.NoError(t, turns.Take(ctx))
	require.NoError(t, turns.Take(ctx))
	require.Equal(t, 2, c.taken)
	c.err = errors.New("not now")
	require.ErrorIs(t, turns.Take(ctx), c.err)
	turns.Asked(ctx, time.Second)
	turns.Asked(ctx, 0)
	require.Equal(t, time.Second, c.asked)
}

func TestACallWithoutTurnsDoesNotWait(t *testing.T) {
	t.Parallel()
	require.NoError(t, turns.Take(t.Context()))
	turns.Asked(t.Context(), time.Second)
}

func TestATurnThatIsNotTakenAtOnceIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counted{}
		ctx := turns.With(t.Context(), c)
		<-time.After(time.Second)
		require.NoError(t, turns.Take(ctx))
		require.Equal(t, 1, c.taken)
	})
}

func TestATurnIsLostWhenAServerAskedForPatienceSince(t *testing.T) {
	t.Parallel()
	c := &counted{}
	ctx := turns.With(t.Context(), c)
	c.held = true
	require.NoError(t, turns.Take(ctx))
	require.Equal(t, 1, c.taken)
}
