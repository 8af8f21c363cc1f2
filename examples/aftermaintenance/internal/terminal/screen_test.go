package terminal

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScreenRedrawsOnlyWhatHasChanged(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := NewScreen(&out)
	s.Show("one")
	s.Show("one")
	s.Show("two")
	s.Clear()
	s.Clear()
	require.Equal(t, "one\r\x1b[Ktwo\r\x1b[K", out.String())
	require.False(t, NewScreen(io.Discard).Terminal)
}
