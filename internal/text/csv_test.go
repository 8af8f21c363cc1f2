package text_test

import (
	"bufio"
	"strings"
	"testing"
	"time"

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

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := bufio.NewWriter(&b)
	require.NoError(t, text.WriteCSV(w, "a", `b "c", d`, "e\nf", ""))
	require.NoError(t, text.WriteCSV(w))
	require.NoError(t, w.Flush())
	require.Equal(t, "\"a\",\"b \"\"c\"\", d\",\"e\nf\",\"\"\r\n\r\n", b.String())
}

func TestStamp(t *testing.T) {
	t.Parallel()
	require.Empty(t, text.Stamp(time.Time{}))
	at := time.Date(2026, 11, 21, 5, 31, 7, 9, time.FixedZone("CET", 3600))
	require.Equal(t, "2026-11-21T04:31:07Z", text.Stamp(at))
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1 order", text.Orders(1))
	require.Equal(t, []string{"0 things", "1 thing", "2 things"},
		[]string{text.Count(0, "thing"), text.Count(1, "thing"), text.Count(2, "thing")})
	for plain, want := range map[string]string{
		"": "", "0": "0", "999": "999", "-999": "-999", "1000": "1 000", "-1000": "-1 000", "1234567": "1 234 567",
		"1234.5678": "1 234.5678", "-123456.00 USD": "-123 456.00 USD", "1000 EUR": "1 000 EUR",
	} {
		require.Equal(t, want, strings.ReplaceAll(text.Grouped(plain), text.Narrow, " "))
	}
}
