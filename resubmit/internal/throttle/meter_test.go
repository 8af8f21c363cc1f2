package throttle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

func TestPacerCountsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []float64{-1, 100} {
			p := throttle.NewPacer(limit, 1, nil)
			made := func(n, wantTotal, wantLately int) {
				t.Helper()
				total, lately := p.Made(n)
				require.Equal(t, []int{wantTotal, wantLately}, []int{total, lately})
			}
			made(59, 0, 0)
			for range 5 {
				require.NoError(t, p.Wait(t.Context(), throttle.Any))
				time.Sleep(10 * time.Second)
			}
			made(9, 5, 0)
			made(10, 5, 1)
			made(59, 5, 5)
			time.Sleep(30 * time.Second)
			made(59, 5, 2)
			time.Sleep(time.Hour)
			made(59, 5, 0)
			require.NoError(t, p.Wait(t.Context(), throttle.Any))
			made(0, 6, 1)
			made(1000, 6, 1)
		}
	})
}
