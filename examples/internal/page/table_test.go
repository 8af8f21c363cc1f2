package page_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
)

func TestTableWrapsTheLastColumn(t *testing.T) {
	t.Parallel()
	table := page.Table{Head: []string{"NAME", "ORDERS", "WHY"}}
	table.Add("Acme", 7, "short")
	table.Add("Börse", 1200, strings.Repeat("a reason of many words ", 8))
	var b strings.Builder
	table.Print(&b)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Equal(t, []string{
		"NAME   ORDERS  WHY",
		"Acme        7  short",
		"Börse    1200  a reason of many words a reason of many words a reason of many words a reason of many words a " +
			"reason of",
		"               many words a reason of many words a reason of many words a reason of many words",
	}, lines)
	for _, line := range lines {
		require.LessOrEqual(t, utf8.RuneCountInString(line), page.Width)
	}
}

func TestParagraphKeepsLongWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*page.Width)
	var b strings.Builder
	page.Paragraph(&b, "  ", "before "+long+" after")
	require.Equal(t, "  before\n  "+long+"\n  after\n", b.String())
}

func TestTableBelow(t *testing.T) {
	t.Parallel()
	table := page.Table{Head: []string{"NAME", "ORDERS", "REASON"}, Below: true}
	table.Add("Acme", 7, "no stock")
	var b strings.Builder
	table.Print(&b)
	require.Equal(t, "NAME  ORDERS  REASON\nAcme       7\n    no stock\n", b.String())
}

func TestOutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	const hostile = "a\x1b[2J\u009b\u202e\u200db\nc"
	table := page.Table{Head: []string{"NAME", "REASON"}}
	table.Add(hostile, hostile)
	var b strings.Builder
	table.Print(&b)
	page.Paragraph(&b, "", hostile)
	const shown = "a\ufffd[2J\ufffd\ufffd\ufffdb c"
	require.Equal(t, "NAME         REASON\n"+shown+"  "+shown+"\n"+shown+"\n", b.String())
}
