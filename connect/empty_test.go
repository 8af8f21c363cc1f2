package connect_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

// TestEmptyAnswers checks that no content never reads as "there is no request".
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 204} {
		for _, body := range []string{"", " \n", "null", "\ufeff"} {
			client := clientOver(t, responding(func() *http.Response {
				resp := answer(status, body)
				resp.Header.Set("Content-Range", "items 0-0/0")
				return resp
			}))
			_, err := client.Request(t.Context(), "PR-1")
			require.Error(t, err, "%d %q", status, body)
			require.NotErrorIs(t, err, connect.ErrNotFound)
			_, err = client.Hub(t.Context(), "HB-1")
			require.Error(t, err, "%d %q", status, body)
			_, err = listed(t, client, connect.RequestQuery{})
			require.Error(t, err, "%d %q", status, body)
			_, err = client.CountRequests(t.Context(), connect.RequestQuery{})
			require.Error(t, err, "%d %q", status, body)
			require.Error(t, client.CheckAccess(t.Context()), "%d %q", status, body)
			found, err := client.LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-1")})
			require.Error(t, err, "%d %q", status, body)
			require.Empty(t, found)
			for h, err := range client.Hubs(t.Context(), "") {
				require.Nil(t, h)
				require.Error(t, err, "%d %q", status, body)
			}
		}
	}
}
