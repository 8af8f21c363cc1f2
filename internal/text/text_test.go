package text_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

func TestDistanceCountsWhatToAddDropOrReplace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"start", "start", 0},
		{"strt", "start", 1}, {"statusses", "statuses", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2},
	} {
		require.Equal(t, tc.want, text.Distance(tc.a, tc.b), "%q to %q", tc.a, tc.b)
	}
}

func TestDistanceIsTheSameBothWaysAndNoMoreThanTheLongerWord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(0, 12, 24).Draw(t, "a"), rapid.StringN(0, 12, 24).Draw(t, "b")
		d := text.Distance(a, b)
		require.Equal(t, d, text.Distance(b, a))
		require.LessOrEqual(t, d, max(len(a), len(b)))
		require.Equal(t, a == b, d == 0)
	})
}

func TestATextIsPutOnOneLineAndCutBetweenLetters(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b c", text.OneLine(" a\n\tb  c\r\n"))
	require.Equal(t, "abc", text.Clip("abc", 3))
	require.Equal(t, "ab…", text.Clip("abc", 2))
	require.Equal(t, "a…", text.Clip("aż", 2), "half a letter is none")
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"", "status", "statuses", "timezone", "id", "time"}
	for word, want := range map[string]string{
		"state": "status", "Statusses": "statuses", "ID": "id", "zone": "timezone", "tme": "time",
		"": "", "x": "", "colour": "", strings.Repeat("status", 11): "",
	} {
		require.Equal(t, want, text.Nearest(word, names), word)
	}
	require.Equal(t, ` (did you mean "id"?)`, text.DidYouMean("ib", names))
	require.Empty(t, text.DidYouMean("colour", names))
}
