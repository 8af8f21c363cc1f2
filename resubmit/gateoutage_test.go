package resubmit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// While Commerce is tried after an outage, the time of the trial is over, but nothing is known yet. A gate that did not
// sleep then would keep the clock of this test from moving.
func TestGateSleepsWhileCommerceIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{}.WithDefaults()
		g := newGate(func() *maintenance.Calendar { return nil }, &cfg, newEvents(t.Context(), &cfg, func(error) {}))
		g.clock = func() (string, time.Duration) { return "", 0 }
		g.call = func() time.Duration { return 0 }
		g.breaker = newBreaker(&cfg, g.events, func(error) {}, nil)
		start := time.Now()
		g.setOutage("Commerce does not answer", start)
		time.AfterFunc(10*time.Second, func() { g.setOutage("", time.Time{}) })
		require.NoError(t, g.wait(t.Context(), "id-1"))
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}
