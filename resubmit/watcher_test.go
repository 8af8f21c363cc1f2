package resubmit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// upgrade is a window of two hours that begins an hour after the start of the bubble.
func upgrade() connect.Window {
	start := time.Now().UTC().Add(time.Hour)
	return connect.Window{ID: "CHG-1", Title: "Upgrade", Start: start, End: start.Add(2 * time.Hour)}
}

// announced is a site with one window, that goes as announced, and n orders that fail in it.
func announced(n int) (*site, connect.Window) {
	s, w := newSite(), upgrade()
	s.notices = []notice{{window: w}}
	s.down = []connect.Span{w.Span()}
	for i := range n {
		s.breaks(w.Start.Add(time.Duration(10+i)*time.Minute), outage)
	}
	return s, w
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAWatcherResubmitsAfterTheMaintenanceWhatItBroke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := announced(3)
		s.breaks(w.Start.Add(30*time.Minute), "the vendor has rejected the request")
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
		for _, l := range s.ledger {
			require.True(t, l.at.After(w.End.Add(resubmit.DefaultSettle-1)))
		}
		require.Len(t, s.done, 1)
		require.Equal(t, resubmit.EpisodeApplied, s.done[0].State)
		require.Equal(t, 3, s.reports[s.done[0].ID].Result.Completed)
	})
}
