package commerce_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
)

// 32 MiB of "0," would become 16 million orders.
func TestListsRejectTooLargePages(t *testing.T) {
	t.Parallel()
	rows := "[" + strings.Repeat("0,", 200_000) + "0]"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/simple") {
			_, _ = io.WriteString(w, `{"data":`+rows+`}`)
			return
		}
		_, _ = io.WriteString(w, rows)
	}))
	t.Cleanup(server.Close)
	const want = "the answer has 200001 rows, more than 200000"
	om, err := ordermanager.New(server.URL, ordermanager.Token(secret))
	require.NoError(t, err)
	for _, err = range om.Orders(t.Context(), commerce.Query{}) {
		require.ErrorContains(t, err, want)
	}
	require.Error(t, err)
	simple, err := simpleapi.New(server.URL+"/simple", simpleapi.Token(secret, secret))
	require.NoError(t, err)
	for _, err = range simple.Orders(t.Context(), commerce.Query{}) {
		require.ErrorContains(t, err, want)
	}
	require.Error(t, err)
	c, err := connect.New(server.URL, connect.APIKey("SU-0:"+secret))
	require.NoError(t, err)
	_, err = c.LatestRequests(t.Context(), []connect.RequestKey{{Type: connect.TypePurchase, TenantID: "tenant"}})
	require.ErrorContains(t, err, want)
}
