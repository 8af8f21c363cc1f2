package commercetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

func TestShuffleTies(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.ShuffleTies = true })
	all := make([]string, 0, 20)
	for range 20 {
		all = append(all, r.sys.Place(commercetest.NewOrder{}).Number) // all at the same time
	}
	lists := map[string]bool{}
	for range 5 {
		status, body := r.call(http.MethodGet, orders+"?sort(+orderDate,+internalId)", "")
		require.Equal(t, http.StatusOK, status)
		found := numbers(t, body)
		require.ElementsMatch(t, all, found)
		lists[body] = true
	}
	require.Greater(t, len(lists), 1, "the order never changed")
}
