package wait_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/wait"
)

func TestEvery(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most, want int // calls
	}{
		"until_it_is_stopped":         {most: 100, want: 3},
		"until_the_function_is_false": {most: 2, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				stop := wait.Every(time.Second, func() bool { calls++; return calls < tt.most })
				time.Sleep(3500 * time.Millisecond)
				stop()
				require.Equal(t, tt.want, calls)
				time.Sleep(time.Minute)
				require.Equal(t, tt.want, calls)
			})
		})
	}
}

func TestEveryWaitsForTheLastCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		returned := false
		stop := wait.Every(time.Second, func() bool { time.Sleep(time.Minute); returned = true; return true })
		time.Sleep(2 * time.Second)
		stop()
		require.True(t, returned)
	})
}
