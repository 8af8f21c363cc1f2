package report

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func TestSumIsExact(t *testing.T) {
	t.Parallel()
	for _, amounts := range [][]string{
		nil, {"0"}, {"0.00", "5"}, {"12.50", "0.1", "-3"}, {"1e20", "0.01"}, {"9223372036854775807", "1", "1"},
		{"999999999999999.99", "0.01"}, {"-4611686018427387904", "-4611686018427387904", "-4611686018427387904"},
		{"1", "1e3", "1e-30", "0.000"}, {"123456789012345", "-123456789012345", "0.5"},
	} {
		var s sum
		want := decimal.Zero
		for _, amount := range amounts {
			d := decimal.RequireFromString(amount)
			s.add(d)
			want = want.Add(d)
		}
		require.Equal(t, want.String(), s.total().String(), "%v", amounts)
		require.Equal(t, want.Exponent(), s.total().Exponent(), "%v", amounts)
	}
	s := sum{begun: true, units: 1<<62 + 1}
	s.add(decimal.New(1<<40, 0))
	require.Equal(t, decimal.New(1<<62+1+1<<40, 0).String(), s.total().String())
}
