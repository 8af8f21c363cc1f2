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
	page.Page{Out: &b}.Print(&table)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Equal(t, []string{
		"NAME   ORDERS  WHY",
		"Acme        7  short",
		"Börse    1200  a reason of many words a reason of many words a reason of many words a reason of many words a " +
			"reason of",
		"               many words a reason of many words a reason of many words a reason of many words",
	}, lines)
	for _, line := range lines {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 120)
	}
}

func TestTableFitsANarrowPage(t *testing.T) {
	t.Parallel()
	table := page.Table{Head: []string{"NUMBER", "CUSTOMER", "WHY"}}
	table.Add("SO000027", "Borealis Motors of the Northern Islands (3100027)", "a reason of many words")
	table.Add("SO000028", "Acme", "")
	var b strings.Builder
	page.Page{Out: &b, Width: 40}.Print(&table)
	require.Equal(t, "NUMBER    CUSTOMER        WHY\n"+
		"SO000027  Borealis        a reason of\n"+
		"          Motors of the   many words\n"+
		"          Northern\n"+
		"          Islands\n"+
		"          (3100027)\n"+
		"SO000028  Acme\n", b.String())
}

func TestParagraphKeepsLongWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*120)
	var b strings.Builder
	page.Page{Out: &b}.Paragraph("  ", "before "+long+" after")
	require.Equal(t, "  before\n  "+long+"\n  after\n", b.String())
}

func TestTableBelow(t *testing.T) {
	t.Parallel()
	table := page.Table{Head: []string{"NAME", "ORDERS", "REASON"}, Below: true}
	table.Add("Acme", 7, "no stock")
	var b strings.Builder
	page.Page{Out: &b}.Print(&table)
	require.Equal(t, "NAME  ORDERS  REASON\nAcme       7\n    no stock\n", b.String())
}

func TestOutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	const hostile = "a\x1b[2J\u009b\u202e\u200db\nc"
	table := page.Table{Head: []string{"NAME", "REASON"}}
	table.Add(hostile, hostile)
	var b strings.Builder
	page.Page{Out: &b}.Print(&table)
	page.Page{Out: &b}.Paragraph("", hostile)
	const shown = "a\ufffd[2J\ufffd\ufffd\ufffdb c"
	require.Equal(t, "NAME         REASON\n"+shown+"  "+shown+"\n"+shown+"\n", b.String())
}
