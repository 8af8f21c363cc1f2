package rql_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

func TestLike(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, pattern, s string
		like, ilike      bool
	}{
		{"no star is equality", "abc", "abc", true, true},
		{"no star is not a prefix", "abc", "abcd", false, false},
		{"a star stands for nothing", "abc*", "abc", true, true},
		{"a star alone matches all", "*", "", true, true},
		{"an empty pattern matches only nothing", "", "a", false, false},
		{"stars on both sides find inside", "*timed out*", "Request to OA timed out.", true, true},
		{"the end is anchored", "*out", "timed out.", false, false},
		{"a later star takes what is needed", "*ab*abc", "ab abab abc", true, true},
		{"an escaped star is a star", `a\*c`, "a*c", true, true},
		{"an escaped star is no wildcard", `a\*c`, "abc", false, false},
		{"an escaped star after a star", `*\*`, "abc*", true, true},
		{"an escaped backslash is one", `a\\c`, `a\c`, true, true},
		{"a backslash before a letter is itself", `a\c`, `a\c`, true, true},
		{"a backslash at the end is itself", `a\`, `a\`, true, true},
		{"case counts only for Like", "*TIMED Out*", "it timed out", false, true},
		{"other letters fold too", "żółĆ*", "ŻÓŁć gęślą", false, true},
		{"letters that share a first byte differ", "é", "É", false, true},
		{"invalid bytes match themselves", "\xff*", "\xffa", true, true},
		{"invalid bytes do not match others", "\xff", "\xfe", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.like, rql.Like(tc.pattern, tc.s))
			require.Equal(t, tc.ilike, rql.ILike(tc.pattern, tc.s))
		})
	}
}

// The oracle is the regular expression that says the same.
func TestLikeAgreesWithARegularExpression(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune(`aAbBéÉ*\`)), 0, 8, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom([]rune(`aAbBéÉ*\`)), 0, 12, -1).Draw(t, "s")
		re := expression(pattern)
		require.Equal(t, regexp.MustCompile(`(?s)^`+re+`$`).MatchString(s), rql.Like(pattern, s))
		require.Equal(t, regexp.MustCompile(`(?is)^`+re+`$`).MatchString(s), rql.ILike(pattern, s))
	})
}

func expression(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '*':
			b.WriteString(".*")
		case pattern[i] == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case pattern[i] < 0x80:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteByte(pattern[i])
		}
	}
	return b.String()
}

func TestLikeDoesNotAllocate(t *testing.T) {
	message := strings.Repeat("APS Application Error: nothing to see. ", 5) + "503 Service Unavailable"
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = rql.Like("*503 Service Unavailable*", message)
		_ = rql.ILike("*503 service*unavailable*", message)
		_ = rql.ILike("*żółć*", message)
	}))
}

func TestLikeDoesNotBlowUp(t *testing.T) {
	t.Parallel()
	// With naive backtracking this would not end in a lifetime.
	require.False(t, rql.ILike(strings.Repeat("*a", 40)+"*b", strings.Repeat("a", 5000)))
}

func FuzzLike(f *testing.F) {
	f.Add("*a*", "bab")
	f.Add(`\*`, "*")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if utf8.ValidString(pattern) && rql.Like(pattern, s) && !rql.ILike(pattern, s) {
			t.Fatalf("Like but not ILike: %q %q", pattern, s)
		}
		literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(s)
		if !rql.Like(literal, s) || !rql.ILike("*"+literal+"*", s) {
			t.Fatalf("%q does not match its own pattern %q", s, literal)
		}
	})
}

func BenchmarkILike(b *testing.B) {
	message := strings.Repeat("APS Application Error: nothing to see. ", 4)
	b.ReportAllocs()
	for b.Loop() {
		_ = rql.ILike("*503 Service Unavailable*", message)
	}
}
