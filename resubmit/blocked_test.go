package resubmit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlockersCountOrdersBlockedThroughOthers(t *testing.T) {
	t.Parallel()
	l := newLanes(1)
	stop := func(number string, by *barrier) *barrier {
		return newBarrier(&job{blockedBy: by, item: Item{Number: number, Outcome: OutcomeFailedAgain, Why: "why " + number}})
	}
	one, other, unused := stop("SO7", nil), stop("SO200", nil), stop("SO8", nil)
	second := stop("SO201", other)
	third := stop("SO202", second)
	require.Same(t, other, second.first())
	require.Same(t, other, third.first())
	require.Same(t, unused, unused.first())

	for _, by := range []*barrier{one, third, second, other} {
		l.block(by)
	}
	require.Equal(t, []Blocker{
		{Number: "SO200", Outcome: OutcomeFailedAgain, Why: "why SO200", Orders: 3},
		{Number: "SO7", Outcome: OutcomeFailedAgain, Why: "why SO7", Orders: 1},
	}, blockerList(l.heads))
}
