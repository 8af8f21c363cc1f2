package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

func windowsOf(t testing.TB, windows ...maintenance.Window) func() *maintenance.Calendar {
	t.Helper()
	c, err := maintenance.NewCalendar(windows)
	require.NoError(t, err)
	return func() *maintenance.Calendar { return c }
}

func TestStalePlanIsRejectedBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	window := func(from, to time.Duration) maintenance.Window {
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
		return maintenance.Window{ID: "w", Start: start.Add(from), End: start.Add(to)}
	}
	before := window(-2*hour, -hour)
	for name, test := range map[string]struct {
		made  []maintenance.Window // the plan's
		known []maintenance.Window // now; nil: no calendar is given
		later time.Duration
		most  time.Duration
		says  string // "": it is carried out
	}{
		"a day old":          {later: 24 * hour},
		"a second more":      {later: 24*hour + time.Second, says: "24h0m1s ago, and may be 24h0m0s old"},
		"older than allowed": {later: 2 * hour, most: hour, says: "2h0m0s ago"},
		"of any age":         {later: 1000 * hour, most: -1},
		"an announced window began": {made: []maintenance.Window{window(hour, 2*hour)}, later: 3 * hour,
			says: "before the maintenance w that began at 2000-01-01T01:00:00Z"},
		"an announced window is to come": {made: []maintenance.Window{window(5*hour, 6*hour)}, later: 3 * hour},
		"a window nobody had announced began": {known: []maintenance.Window{window(hour, 2*hour)}, later: 3 * hour,
			says: "before the maintenance w that began"},
		"a window is announced": {known: []maintenance.Window{window(9*hour, 10*hour)}, later: 3 * hour},
		"the same calendar": {made: []maintenance.Window{before}, known: []maintenance.Window{before},
			later: hour},
		"the window went on longer": {made: []maintenance.Window{before},
			known: []maintenance.Window{window(-2*hour, -hour/2)},
			says:  "is now known as 1999-12-31T22:00:00Z to 1999-12-31T23:30:00Z"},
		"the window was before": {made: []maintenance.Window{before},
			known: []maintenance.Window{window(-4*hour, -3*hour)}, says: "was not known when it was made"},
		"there was no window": {made: []maintenance.Window{before}, known: []maintenance.Window{},
			says: "with which it was made is no longer known"},
		"there was one":                        {known: []maintenance.Window{before}, says: "was not known when it was made"},
		"a window of last year is not counted": {known: []maintenance.Window{window(-9000*hour, -8990*hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "s1")
				s := newShop(o)
				plan := planWith(t, test.made, entryFor(o))
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.MaxPlanAge = test.most
					if test.known != nil {
						c.Calendar = windowsOf(t, test.known...)
					}
				})
				<-time.After(test.later)
				_, err := r.Apply(t.Context(), plan)
				if test.says == "" {
					require.NoError(t, err)
					require.Len(t, s.ledger, 1)
					return
				}
				require.ErrorIs(t, err, resubmit.ErrStalePlan)
				require.ErrorContains(t, err, test.says)
				require.NotContains(t, err.Error(), "\n")
				require.Empty(t, s.calls)
				require.Nil(t, runOf(t, plan), "the journal was not begun")
			})
		})
	}
}

func TestBegunPlanIsResumedAtAnyAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		plan := planFor(t, o)
		r := runnerFor(t, s, nil)
		r.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.Apply(ctx, plan)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, s.ledger)
		r.Resume()
		<-time.After(100 * time.Hour)
		_, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Len(t, s.ledger, 1)
	})
}
