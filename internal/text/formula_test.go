package text_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

func TestNoFormula(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"=1", "+1", "-1", "@a", "＝1", "＋1", "－1", "＠a", "\ta", "\ra", "\na", "\x00a"} {
		require.Equal(t, "'"+s, text.NoFormula(s))
	}
	for _, s := range []string{"", "a", "1", "a=1", "é"} {
		require.Equal(t, s, text.NoFormula(s))
	}
}
