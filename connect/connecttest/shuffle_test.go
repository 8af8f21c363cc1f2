package connecttest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

func TestShuffleTies(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, ShuffleTies: true})
	for i := range 20 {
		_, err := sys.AddRequest(connecttest.RequestSeed{
			ExternalUID: fmt.Sprintf("uid-%02d", i), Type: connect.TypePurchase, Status: connect.StatusPending,
			Created: clock.Now(),
		})
		require.NoError(t, err)
	}
	c := serve(t, sys)
	lists := map[string]bool{}
	for range 5 {
		body := c.get("/requests?ordering(-created)&limit=100").Body
		require.Equal(t, 20, strings.Count(body, `"external_uid"`))
		lists[body] = true
	}
	require.Greater(t, len(lists), 1, "the order never changed")
}
