package resubmit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBarriersAreUnpackedAsTheyWerePacked(t *testing.T) {
	t.Parallel()
	b := newBarriers()
	stop := func(number string, by barrierID, why string) barrierID {
		return b.add(&job{blockedBy: by, item: Item{Number: number, Outcome: OutcomeFailedAgain, Why: why}})
	}
	long := strings.Repeat("9", 2*nameBlock)
	heads := make([]barrierID, 0, 300)
	for i := range 300 { // the causes need more than a byte
		heads = append(heads, stop(fmt.Sprint("SO", i), 0, fmt.Sprint("why ", i)))
	}
	same := stop("", 0, "why 299")
	behind := stop(long, heads[200], "")
	last := stop("SO last", behind, "")

	require.Equal(t, barrier{number: "SO200", cause: 200}, b.get(heads[200]))
	require.Equal(t, barrier{cause: 299}, b.get(same), "what is the same is kept once")
	require.Equal(t, barrier{number: long, head: heads[200]}, b.get(behind))
	require.Equal(t, barrier{number: "SO last", head: heads[200]}, b.get(last))
	require.Zero(t, b.first(0), "none is behind none")

	for _, by := range []barrierID{heads[7], last, behind, heads[200], heads[8]} {
		b.block(by)
	}
	require.Equal(t, []Blocked{
		{Number: "SO200", Outcome: OutcomeFailedAgain, Why: "why 200", Orders: 3},
		{Number: "SO7", Outcome: OutcomeFailedAgain, Why: "why 7", Orders: 1},
		{Number: "SO8", Outcome: OutcomeFailedAgain, Why: "why 8", Orders: 1},
	}, b.blocked())
}
