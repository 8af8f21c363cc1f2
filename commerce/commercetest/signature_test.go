package commercetest

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// The vectors of commerce/WIRE.md#1.5, one of which no order of the store can have.
func TestSignature(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id, number                 string
		placed                     int64
		currency, amount, comments string
		want                       string
	}{
		{"1000027", "SO000027", 1700000000, "USD", "12.5", "Sales order for Acme", "896e5b31a005ae3054ecd0ead0e59b54"},
		{"1000028", "CH000003", 1700000500, "USD", "1234", "", "7c9762df7b4ce5389ab18c30f4112bad"},
		{"1000029", "SO000029", 1700000900, "JPY", "1200", "Zażółć", "cac6ed0d7700a40e2358ababe199bcf0"},
	} {
		o := Order{
			BillingID: test.id, Number: test.number, PlacedAt: time.Unix(test.placed, 0), Comments: test.comments,
			Total: commerce.Money{Currency: test.currency, Amount: decimal.RequireFromString(test.amount)},
		}
		require.Equal(t, test.want, signature(&o, new(Config).digits(test.currency)))
	}
}
