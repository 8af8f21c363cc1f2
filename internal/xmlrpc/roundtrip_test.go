package xmlrpc_test

import (
	"bytes"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// alike is what another implementation can carry of the types.
type alike struct{ wide, big, null, cr bool }

// runes are texts that XML can carry, with all that needs care.
func runes(a alike) *rapid.Generator[string] {
	special := []rune(" \n\t<>&'\"]é漢😀\ufffd\u007f\u0085\u2028")
	if a.cr {
		special = append(special, '\r')
	}
	return rapid.StringOf(rapid.OneOf(rapid.SampledFrom(special), rapid.RuneFrom([]rune("abc]]>&amp;<!--"))))
}

func values(a alike, depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Map(rapid.Int32(), func(n int32) any { return int(n) }),
		rapid.Map(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(runes(a), func(s string) any { return s }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 100), func(b []byte) any { return b }),
		rapid.Map(rapid.Int64Range(0, 4e9), func(s int64) any { return time.Unix(s, 0).UTC() }),
	}
	if a.wide {
		kinds = append(kinds, rapid.Map(rapid.Int(), func(n int) any { return n }))
	}
	if a.big {
		kinds = append(kinds, rapid.Map(rapid.Int64Range(math.MinInt64, -1), func(n int64) any {
			return new(big.Int).Mul(big.NewInt(n), new(big.Int).Lsh(big.NewInt(1), 70))
		}))
	}
	if a.null {
		kinds = append(kinds, rapid.Just[any](nil))
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return values(a, depth-1) }), 0, 5),
				func(s []any) any { return s }),
			rapid.Map(rapid.MapOfN(runes(a), rapid.Deferred(func() *rapid.Generator[any] { return values(a, depth-1) }), 0, 5),
				func(m map[string]any) any { return m }),
		)
	}
	return rapid.OneOf(kinds...)
}

func TestWhatIsEncodedIsDecodedAgain(t *testing.T) {
	t.Parallel()
	o := xmlrpc.EncodeOptions{Wide: xmlrpc.BigInt, Nil: true}
	rapid.Check(t, func(t *rapid.T) {
		in := values(alike{true, true, true, true}, 4).Draw(t, "value")
		body, err := xmlrpc.EncodeResponse(o, in)
		require.NoError(t, err)
		var out any
		require.NoError(t, xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, &out))
		require.Equal(t, in, out)
		body, err = xmlrpc.EncodeCall(o, "m", in, in)
		require.NoError(t, err)
		c, err := xmlrpc.DecodeCall(bytes.NewReader(body), xmlrpc.DecodeOptions{})
		require.NoError(t, err)
		require.Equal(t, xmlrpc.Call{Method: "m", Params: []any{in, in}}, c)
	})
}
