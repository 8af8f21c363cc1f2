package watch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// The service is killed at each point and restarted with a copy of its directory, journal
// included, as it was at that point.
func TestWatcherResumesFromItsFilesAfterCrash(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += testkit.Scale(1, 15) {
		killed := true
		t.Run(fmt.Sprintf("at_point_%d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := announced(2)
				live := func(dir string, remembered []byte, crash func(string) bool) *process {
					p := &process{site: s, dir: dir, crash: crash, ended: make(chan struct{})}
					return s.run(t, p, remembered, func(c *watch.Config) { c.State.Journal = nil })
				}
				left := n
				p := live(t.TempDir(), nil, func(string) bool { left--; return left == 0 })
				select {
				case <-p.ended:
					p = live(p.dead, p.stop(t), nil)
				case <-time.After(24 * time.Hour):
					killed = false
				}
				pass(24 * time.Hour)
				p.stop(t)
				for id := range s.orders {
					require.LessOrEqual(t, s.accepted(id), 1)
					require.True(t, s.accepted(id) == 1 || s.left(id) != "", "order %s is forgotten", id)
				}
				episodes := p.watcher.Episodes()
				require.Len(t, episodes, 1)
				require.Equal(t, watch.EpisodeApplied, episodes[0].State, "%s", s.log())
			})
		})
		if !killed || t.Failed() {
			require.Greater(t, n, 20)
			return
		}
	}
}
