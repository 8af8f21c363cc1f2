package text_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

func TestIsPlain(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		odd := string([]byte{byte(c)})
		want := c >= ' ' && c <= '~' && c != '"' && c != '\\'
		for size := range 20 {
			for at := range size {
				s := strings.Repeat("a", at) + odd + strings.Repeat("~", size-at-1)
				require.Equal(t, want, text.IsPlain(s), "%q", s)
				if want {
					continue
				}
				var back string
				require.NoError(t, json.Unmarshal(text.AppendJSON(nil, s), &back))
				require.Equal(t, strings.ToValidUTF8(s, "\uFFFD"), back)
			}
		}
	}
	require.True(t, text.IsPlain(""))
	require.True(t, text.IsPlain("Order 12 has failed. Reason: 'x' <b>&</b>"))
}
