package text_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// hostile are characters that a terminal acts on, that hide or that reorder text.
var hostile = map[string]string{
	"ESC":                    "\x1b",
	"BEL":                    "\a",
	"NUL":                    "\x00",
	"backspace":              "\b",
	"DEL":                    "\x7f",
	"CSI as C1":              "\u009b",
	"OSC as C1":              "\u009d",
	"last C1":                "\u009f",
	"C1 as a byte":           "\x9b",
	"half a rune":            "\xe2\x80",
	"surrogate":              "\xed\xa0\x80",
	"right-to-left override": "\u202e",
	"left-to-right embed":    "\u202a",
	"pop isolate":            "\u2069",
	"left-to-right isolate":  "\u2066",
	"left-to-right mark":     "\u200e",
	"right-to-left mark":     "\u200f",
	"Arabic letter mark":     "\u061c",
	"zero-width space":       "\u200b",
	"zero-width joiner":      "\u200d",
	"word joiner":            "\u2060",
	"byte order mark":        "\ufeff",
	"soft hyphen":            "\u00ad",
	"tag":                    "\U000e0041",
	"interlinear anchor":     "\ufff9",
	"private":                "\ue000",
	"private plane":          "\U0010fffd",
	"not a character":        "\uffff",
}

// harmless are texts that stay as they are.
var harmless = []string{
	"", "plain", "Grüße, Żółć", "Ёлка", "日本語 한국어", "עברית", "العربية",
	"हिन्दी", "e\u0301 combined", "🎉 ❤️ 👍🏽 🇵🇱",
	"→ “quotes” … € № ½ ² ", "\ufffd", "no\u00a0break",
}

func TestClean(t *testing.T) {
	t.Parallel()
	for name, h := range hostile {
		got := text.Clean("a" + h + "b")
		require.True(t, strings.HasPrefix(got, "a\ufffd") && strings.HasSuffix(got, "\ufffdb"), "%s: %q", name, got)
		require.Equal(t, got, text.OneLine(" a"+h+"b\n"), name)
		require.Equal(t, got, text.Lines("a"+h+"b"), name)
		require.Equal(t, got, text.Excerpt("a"+h+"b", 100), name)
	}
	for _, s := range harmless {
		require.Equal(t, s, text.Clean(s))
		require.Equal(t, s, text.Lines(s))
	}
	require.Equal(t, "a\ufffdb\ufffdc\ufffdd\ufffde", text.Clean("a\nb\rc\td\u2028e"))
	require.Equal(t, "a\nb\ufffdc", text.Lines("a\nb\rc"))
	require.Equal(t, "a b c d", text.OneLine(" a\nb\u2028c\u0085\u2029d\r\n"))
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	require.Equal(t, "aaaa…", text.Excerpt(strings.Repeat("a", 1<<20), 4))
	require.Equal(t, "a b", text.Excerpt("a \n b", 3))
	require.Equal(t, "a\ufffd…", text.Excerpt("a\x1b[2J", 4))
	rapid.Check(t, func(t *rapid.T) {
		s, n := hostileText().Draw(t, "text"), rapid.IntRange(0, 40).Draw(t, "bytes")
		got := text.Excerpt(s, n)
		require.LessOrEqual(t, len(got), n+len("…"))
		requireShown(t, got)
	})
}

func TestCleanLeavesOnlyWhatIsShown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := hostileText().Draw(t, "text")
		requireShown(t, text.Clean(s))
		requireShown(t, text.OneLine(s))
		requireShown(t, strings.ReplaceAll(text.Lines(s), "\n", ""))
		require.Equal(t, text.Clean(s), text.Clean(text.Clean(s)))
	})
}

func TestJSONIsEscapedAndReadBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := hostileText().Draw(t, "text")
		var encoded bytes.Buffer
		require.NoError(t, text.JSONEncoder(&encoded).Encode(s))
		marshalled, err := json.Marshal(s)
		require.NoError(t, err)
		for way, data := range map[string][]byte{
			"AppendJSON": text.AppendJSON(nil, s), "EscapeJSON": text.EscapeJSON(marshalled),
			"JSONEncoder": bytes.TrimSuffix(encoded.Bytes(), []byte("\n")),
		} {
			requireShown(t, string(data))
			var back string
			require.NoError(t, json.Unmarshal(data, &back), "%s: %s", way, data)
			require.Equal(t, string([]rune(s)), back, way) // U+FFFD for each invalid byte
		}
	})
	require.Equal(t, `"\u009b\u202e😀"`, string(text.AppendJSON(nil, "\u009b\u202e😀")))
	require.Equal(t, `"\udb40\udc41\u007f\u001b\n\"\\"`, string(text.AppendJSON(nil, "\U000e0041\x7f\x1b\n\"\\")))
}

// hostileText makes texts of hostile and of ordinary parts.
func hostileText() *rapid.Generator[string] {
	parts := append([]string{"\n", "\t", " ", "<&>", `"`, `\`, `\u009b`}, harmless...)
	for _, h := range hostile {
		parts = append(parts, h)
	}
	return rapid.Custom(func(t *rapid.T) string {
		texts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(parts), rapid.String()), 0, 6).Draw(t, "parts")
		return strings.Join(texts, "")
	})
}

func requireShown(t require.TestingT, s string) {
	for _, r := range s {
		require.True(t, text.Shown(r), "%U in %q", r, s)
	}
	require.True(t, utf8.ValidString(s))
}
