package commercetest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSimpleCatalog(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	header := r.login()
	for path, want := range map[string][]string{
		"/customers": {"10", "20", "30"}, "/customers?limit=1&offset=1": {"20"}, "/customers?name=Acme": {"10"},
		"/subscriptions?customerId=20": {"99"}, "/subscriptions?customerId=0": {}, "/plans": {"1"}, "/plans?offset=7": {},
	} {
		res, body := r.send(http.MethodGet, "/simple"+path, "", header)
		require.Equal(t, http.StatusOK, res.Status, "%s: %s", path, body)
		var answer struct {
			Data       []struct{ ID string }
			Pagination map[string]int
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
		ids := []string{}
		for _, row := range answer.Data {
			ids = append(ids, row.ID)
		}
		require.Equal(t, want, ids, path)
		require.Contains(t, answer.Pagination, "total")
	}
	for path, status := range map[string]int{
		"/customers/10": 200, "/customers/99": 400, "/subscriptions/99": 200, "/plans/1": 200, "/plans/2": 400,
		"/customers?limit=0": 400, "/customers?offset=x": 400, "/customers?%zz": 400, "/products": 404,
	} {
		res, body := r.send(http.MethodGet, "/simple"+path, "", header)
		require.Equal(t, status, res.Status, "%s: %s", path, body)
	}
	res, _ := r.send(http.MethodGet, "/simple/customers", "", nil)
	require.Equal(t, http.StatusUnauthorized, res.Status)
}
