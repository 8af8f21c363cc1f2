package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// hostileTexts are what servers might send.
var hostileTexts = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><script>alert(1)</script>`, `javascript:alert(1)`,
	"{{.}}", "a\x1b[2Jb", "a\u202eb\u2066c", "a\x00b", "line\r\nline", "=HYPERLINK(\"http://evil\")", "'; rm -rf / #",
	"]]>", "&lt;b&gt;", strings.Repeat("x", 20_000), "a\u2028b", "\ufeff",
}

// hostileDocument returns a document whose texts are all the same.
func hostileDocument(t testing.TB, s string) *report.Document {
	t.Helper()
	e := plan.Entry{
		OrderID: s, Number: s, Type: commerce.OrderType(s), VendorAccountID: s, Channel: commerce.Channel(s), Customer: s,
		CustomerID: s, Subscriptions: []string{s}, TenantID: s,
		Total:  commerce.Money{Amount: decimal.New(-1250, -2), Currency: s},
		Before: plan.Snapshot{Status: commerce.Status(s), Message: s, PlacedAt: at("02:00:00")},
		Attribution: failure.Attribution{
			Class: failure.Transient, Verdict: failure.Caused, WindowID: s,
			Evidence: []failure.Evidence{{Kind: s, Text: s, Ref: s}},
		},
		Decision: rules.Decision{Action: rules.Resubmit, RuleID: s, Why: s}, Target: commerce.Status(s),
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	held := e
	held.OrderID += "2"
	held.Decision.Action, held.Target = rules.Hold, ""
	held.Fingerprint = plan.Fingerprint(held.OrderID, held.Before)
	h := plan.Header{
		CreatedAt: at("04:00:00"), System: s, View: s, Filter: s, Journal: plan.Position{Journal: s, Hash: s},
	}
	id := strings.Map(func(r rune) rune { // windows have no control characters
		if r < ' ' || r == 0x7f || 0x80 <= r && r <= 0x9f {
			return '-'
		}
		return r
	}, s)
	h.Windows = []maintenance.Window{{
		ID: id, Title: s, Source: s, Start: at("01:00:00"), End: at("03:00:00"),
		ActualStart: at("01:10:00"),
	}}
	p := planOf(t, h, e, held)
	r := &resubmit.Report{
		PlanDigest: p.Digest(), StartedAt: at("04:00:00"), FinishedAt: at("05:00:00"), Err: s, EventError: s,
		Result: resubmit.OutcomeCounts{FailedAgain: 1}, Blockers: []resubmit.Blocker{{Number: s, Orders: 1}},
		Canary: []resubmit.CanaryStatus{{Group: s, Stopped: s}},
		Items: []resubmit.Item{{
			OrderID: s, Number: s, Outcome: protocol.FailedAgain, Why: s, Target: commerce.Status(s), BlockedBy: s,
			CorrelationID: s, After: plan.Snapshot{Message: s}, AfterClass: failure.Class(s), PushedAt: at("04:10:00"),
			DoneAt: at("04:20:00"), Evidence: []failure.Evidence{{Kind: s, Text: s, Ref: s}},
		}},
	}
	return documentOf(t, report.Input{
		Plan: p, Report: r, Command: "aftermaintenance", Audit: s, Now: at("05:00:00"),
		Marks: []report.Mark{{At: at("04:15:00"), Text: s}, {At: at("04:16:00"), Stopped: true, Text: s}},
	})
}

func TestHostileTextInEveryField(t *testing.T) {
	t.Parallel()
	for i, s := range hostileTexts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			d := hostileDocument(t, s)
			var html, table, doc bytes.Buffer
			require.NoError(t, d.WriteHTML(&html))
			require.NoError(t, d.WriteCSV(&table))
			require.NoError(t, d.WriteJSON(&doc))

			requireShown(t, html.String(), "\n\t")
			require.True(t, strings.HasPrefix(html.String(), "<!doctype html>"))
			requireSafePage(t, html.String())
			requireShown(t, table.String(), "\r\n")
			requireCells(t, table.Bytes())
			requireShown(t, doc.String(), "\n")
			requireShown(t, d.Text(), "\n")
			requireShown(t, d.Chart().Description(), "")
			requireShown(t, d.Sentence(), "")
			for _, step := range d.Next {
				require.NotContains(t, step.Command, s, "a command would run it")
			}
			for _, size := range []int{html.Len() - doc.Len(), len(d.Text())} {
				require.Less(t, size, 512<<10)
			}
			again, err := report.Read(&doc)
			require.NoError(t, err)
			require.Equal(t, d.Items, again.Items, "JSON is lossless")
		})
	}
}

// requireShown checks that a text has only characters that are shown, and some others.
func requireShown(t *testing.T, s, others string) {
	t.Helper()
	for _, r := range s {
		require.True(t, text.Shown(r) || strings.ContainsRune(others, r), "%U in %.200q", r, s)
	}
}

// requireSafePage checks that a page has no script, no style but its own, and no address.
func requireSafePage(t *testing.T, page string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<[^>]*>`).FindAllString(page, -1) {
		require.NotRegexp(t, `(?i)^</?(script|img|base|form|iframe|link|object|embed|a)\b`, tag)
		require.NotRegexp(t, `(?i)\s(href|src|style|on[a-z]+|action)\s*=`, tag)
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page, -1)
	require.Len(t, style, 1)
	sum := sha256.Sum256([]byte(style[0][1]))
	policy := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-` +
		base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'">`
	require.Contains(t, strings.ReplaceAll(page, "&#43;", "+"), policy)
}

// plainColumns are formatted by the library.
var plainColumns = map[string]string{"total": `^-?[0-9.]*$`, "attempts": `^[0-9]+$`}

// requireCells checks that no cell is a formula, and that each field is in quotes.
func requireCells(t *testing.T, table []byte) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	require.NoError(t, err)
	for _, line := range lines[1:] {
		for i, cell := range line {
			switch form, plain := plainColumns[lines[0][i]]; {
			case plain:
				require.Regexp(t, form, cell)
			case cell != "":
				require.NotContains(t, "=+-@＝＋－＠\t\r\n\x00", string([]rune(cell)[0]), cell)
			}
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(table), "\r\n"), "\r\n") {
		require.Regexp(t, `^"([^"]|"")*"(,"([^"]|"")*")*$`, line)
	}
}

func TestCSVOfFormulas(t *testing.T) {
	t.Parallel()
	for text, cell := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠A": "'＠A",
		"\t=1": "'=1", "\r=1": "'=1", "\n=1": "'=1", "\x00=1": "\ufffd=1", "  =1": "'=1", "a=1": "a=1", "'=1": "'=1",
		`say "hi", you`: `say "hi", you`, "Żółć": "Żółć",
	} {
		e := entryAt(1, at("01:00:00"), failure.Transient)
		e.Customer = text
		var b bytes.Buffer
		require.NoError(t, documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, e)}).WriteCSV(&b))
		lines, err := csv.NewReader(&b).ReadAll()
		require.NoError(t, err)
		require.Equal(t, cell, lines[1][2], "%q", text)
	}
}

func TestCSVOfNegativeAmounts(t *testing.T) {
	t.Parallel()
	e := entryAt(1, at("01:00:00"), failure.Transient)
	e.Total = commerce.Money{Amount: decimal.New(-1250, -2), Currency: "EUR"}
	var b bytes.Buffer
	require.NoError(t, documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, e)}).WriteCSV(&b))
	require.Contains(t, b.String(), `,"-12.50","EUR",`)
}

// The documentation names all columns.
func TestCSVColumnsAreDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("csv.go")
	require.NoError(t, err)
	_, doc, ok := strings.Cut(string(source), "// WriteCSV writes")
	require.True(t, ok)
	doc, _, _ = strings.Cut(doc, "\nfunc ")
	var b bytes.Buffer
	require.NoError(t, sample(t, false).WriteCSV(&b))
	lines, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	at := 0
	for _, name := range lines[0] {
		i := strings.Index(doc[at:], name)
		require.GreaterOrEqual(t, i, 0, "%s is not documented, or not in the order of the columns", name)
		at += i + len(name)
	}
}

func TestCSVNeedsItems(t *testing.T) {
	t.Parallel()
	d := documentOf(t, report.Input{Plan: planOf(t, sampleHeader(), sampleEntries()...), OmitItems: true})
	require.ErrorIs(t, d.WriteCSV(new(bytes.Buffer)), report.ErrNoItems)
}
