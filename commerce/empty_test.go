package commerce_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// TestEmptyAnswers checks that no content never reads as "there is no order", and what it says about
// a push.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	type lister interface {
		Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error]
	}
	for _, k := range kinds() {
		for _, body := range []string{"", " \n", "null", "\ufeff"} {
			for _, status := range []int{200, 202, 204} {
				name := fmt.Sprintf("%s %d %q", k.name, status, body)
				read := false // whether the read before a push is answered
				h := func(w http.ResponseWriter, r *http.Request) {
					sent, _ := io.ReadAll(r.Body)
					if read && strings.Contains(string(sent), "GetOrder_API") {
						_, _ = io.WriteString(w, k.answer)
						return
					}
					w.WriteHeader(status)
					if status != http.StatusNoContent {
						_, _ = io.WriteString(w, body)
					}
				}
				c, err := k.make("http://localhost", &http.Client{Transport: testkit.Transport(http.HandlerFunc(h))}, time.Minute)
				require.NoError(t, err)
				_, err = c.Order(t.Context(), orderID)
				require.Error(t, err, name)
				require.NotErrorIs(t, err, commerce.ErrNotFound, name)
				if l, ok := c.(lister); ok {
					for o, err := range l.Orders(t.Context(), commerce.Query{}) {
						require.Nil(t, o, name)
						require.Error(t, err, name)
						read = true
					}
					require.True(t, read, "%s: the list is empty", name)
				}
				read = true
				err = c.Push(t.Context(), orderID, "PD")
				if k.name != "billing" { // XML-RPC has no empty answers
					require.NoError(t, err, name)
					continue
				}
				e, ok := errors.AsType[*commerce.Error](err)
				require.True(t, ok, "%s: %v", name, err)
				require.Equal(t, commerce.DeliveryUnknown, e.Delivery, name)
			}
		}
	}
}
