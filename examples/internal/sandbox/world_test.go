package sandbox_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
)

// get returns the status that a call is answered with; 0 for none.
func get(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestClose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		delay  time.Duration
		status int
	}{
		"waits for a call that ends soon": {300 * time.Millisecond, http.StatusUnauthorized},
		"waits for no call for ever":      {time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := sandbox.New(t.Context(), "127.0.0.1:0", 1, nil)
			require.NoError(t, err)
			require.False(t, w.Exposed)
			require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Kind: commercetest.FaultDelay, Delay: c.delay}))
			answered := make(chan int, 1)
			go func() { answered <- get(w.CommerceURL + "/") }()
			require.Eventually(t, func() bool { return w.Commerce.FaultCounts()[0].Hits > 0 }, time.Minute, time.Millisecond)
			require.NoError(t, w.Close())
			require.Equal(t, c.status, <-answered)
			require.Zero(t, get(w.CommerceURL+"/"), "nobody is there any more")
		})
	}
}
