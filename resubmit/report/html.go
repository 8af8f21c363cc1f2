package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// maxRows is how many rows the tables of the page have, but for that of the orders that need a person.
const maxRows = 50

var (
	//go:embed style.css
	sharedStyle string
	//go:embed page.css
	pageStyle string
	//go:embed report.gotmpl
	pageText string
)

// CSS returns the style of the chart and of the tables, for the report and for the operator's console.
func CSS() string { return sharedStyle }

// pageTemplate has functions that are replaced for each document.
var pageTemplate = template.Must(template.New("report").Funcs(new(Document).funcs()).Parse(pageText))

// WriteHTML writes the document as one HTML file without scripts. It needs no other file, and its content security
// policy allows none.
func (d *Document) WriteHTML(w io.Writer) error {
	t, err := pageTemplate.Clone()
	if err == nil {
		err = t.Funcs(d.funcs()).ExecuteTemplate(w, "page", d.page())
	}
	if err != nil {
		return fmt.Errorf("report: write HTML: %w", err)
	}
	return nil
}

// page is what the template of the page shows.
type page struct {
	*Document
	Title, LeadClass, VerifiedNote, PeopleNote string
	Style                                      template.CSS
	StyleHash                                  string
	Figure                                     template.HTML
	Actors                                     []actorCount
	Results                                    []resultCount
	AgainTable, ReasonTable                    groupTable
	Shares                                     []shareTable
	Facts                                      []fact
	More                                       map[string]string // what the tables leave out
}

type (
	actorCount struct {
		Who string
		N   int
	}
	resultCount struct {
		Decision, Outcome string
		N                 int
	}
	groupTable struct {
		Caption, More string
		Rows          []Group
	}
	shareTable struct {
		ID, Name, Head, Caption, Note, More string
		Rows                                []Share
	}
	fact struct {
		Name, Value string
		Code        bool
	}
)

func (d *Document) page() *page {
	style := sharedStyle + pageStyle
	sum := sha256.Sum256([]byte(style))
	short := *d
	short.Blockers, short.Windows = first(d.Blockers), first(d.Windows)
	short.Canary, short.Marks = first(d.Canary), first(d.Marks)
	p := &page{
		Document: &short, Title: "Recovery of failed orders", Style: template.CSS(style), //nolint:gosec // our own file
		StyleHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]), Figure: d.Chart().Figure(ChartOptions{}),
		AgainTable:  groupsOf("Orders that failed again, by their new reason", d.FailedAgain),
		ReasonTable: groupsOf("All orders of the plan, by the common part of their failure texts", d.Reasons),
		More: map[string]string{
			"blockers": more(d.Blockers), "windows": more(d.Windows), "canary": more(d.Canary), "marks": more(d.Marks),
		},
	}
	p.Shares, p.Facts, p.Results = p.shareTables(), p.facts(), p.results()
	switch {
	case d.OK() && d.Waiting.Orders == 0:
		p.LeadClass = "ok"
	case d.Error != "" || d.Outcomes.FailedAgain > 0:
		p.LeadClass = "bad"
	}
	switch {
	case d.State == StatePlanned:
		p.VerifiedNote = "nothing was sent yet"
	case !d.ConnectAsked:
		p.VerifiedNote = "in Commerce; Connect was not asked"
	case d.CommerceOnly > 0:
		p.VerifiedNote = fmt.Sprintf("%s of them by Commerce alone", grouped(d.CommerceOnly))
	default:
		p.VerifiedNote = "in Commerce and Connect"
	}
	for _, a := range []Actor{ActorPerson, ActorVendor, ActorPlan, ActorRun} {
		if n := d.ByActor[a]; n > 0 {
			p.Actors = append(p.Actors, actorCount{a.who(), n})
		}
	}
	if n := d.ByActor[ActorPerson]; n > len(d.People) {
		where := "CSV file"
		if d.Items == nil {
			where = "plan"
		}
		p.PeopleNote = fmt.Sprintf("These are the first %d of %s. The %s lists all.", len(d.People), grouped(n), where)
	} else {
		p.PeopleNote = fmt.Sprintf("%s, all of which are listed.", text.Orders(n))
	}
	return p
}

// results counts all orders by decision and outcome.
func (d *page) results() (list []resultCount) {
	add := func(decision rules.Action, outcome string, n int) {
		if n > 0 {
			list = append(list, resultCount{words(decision), outcome, n})
		}
	}
	for _, o := range protocol.Outcomes() {
		add(rules.Resubmit, outcomeText(o), d.Outcomes.Of(o))
	}
	add(rules.Resubmit, "not done yet", d.Open)
	p := &d.Planned
	add(rules.Wait, "not sent", p.Wait)
	add(rules.Hold, "not sent", p.Hold)
	add(rules.Complete, "not sent: the service exists", p.Complete)
	add(rules.Manual, "not sent", p.Manual)
	add(rules.Quarantine, "not sent", p.Quarantine)
	return list
}

func groupsOf(caption string, groups []Group) groupTable {
	return groupTable{Caption: caption, Rows: first(groups), More: more(groups)}
}

func (d *page) shareTables() []shareTable {
	return []shareTable{
		table("class", "reason class", "Class", "", d.Classes),
		table("vendor", "vendor", "Vendor",
			"A vendor is the account that sold the order: the provider's own, or a reseller's.", d.Vendors),
		table("channel", "channel", "Channel", "", d.Channels),
		table("type", "order type", "Type", "", d.Types),
	}
}

func table(id, name, head, note string, shares []Share) shareTable {
	return shareTable{
		ID: id, Name: name, Head: head, Note: note, Rows: first(shares), More: more(shares),
		Caption: "Orders by " + name + ", those with the most waiting orders first",
	}
}

// first returns the rows that a table shows, more says how many there are besides.
func first[T any](rows []T) []T { return rows[:min(maxRows, len(rows))] }

func more[T any](rows []T) string {
	if len(rows) <= maxRows {
		return ""
	}
	return fmt.Sprintf("These are the first %d of %s. The JSON file has all.", maxRows, grouped(len(rows)))
}

func (d *page) facts() (facts []fact) {
	add := func(name, value string, code bool) {
		if value != "" {
			facts = append(facts, fact{name, text.Sentence(value), code})
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, d.clock(t), false)
		}
	}
	at("Planned", d.Times.PlannedAt)
	at("Started", d.Times.StartedAt)
	at("Finished", d.Times.FinishedAt)
	at("Last order verified", d.Times.LastVerifiedAt)
	at("Last maintenance ended", d.Times.WindowClosedAt)
	if s := d.Times.RunSeconds; s > 0 {
		add("Time of the run", duration(s), false)
	}
	if s := d.Times.CloseToVerifiedSeconds; s > 0 {
		add("From the end of the maintenance until all were verified", duration(s), false)
	}
	add("System", d.System, false)
	add("View", d.View, false)
	add("Filter", cmp.Or(d.Filter, "none"), true)
	add("Plan", d.Digests.Plan, true)
	add("Policy", d.Digests.Policy, true)
	if j := d.Digests.Journal; j.Journal != "" {
		add("Journal", fmt.Sprintf("%s at %d, %s", j.Journal, j.Sequence, j.Hash), true)
	}
	add("Audit log", d.Digests.Audit, true)
	return facts
}

// funcs returns the functions of the page's template.
func (d *Document) funcs() template.FuncMap {
	return template.FuncMap{
		"num": grouped, "clock": d.clock, "span": d.span, "inc": func(i int) int { return i + 1 },
		"utc":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"show":    text.Sentence,
		"short":   func(v any) string { return text.Short(fmt.Sprint(v)) },
		"words":   func(v any) string { return words(fmt.Sprint(v)) },
		"amount":  amount,
		"amounts": func(t Tally) []string { return t.totals(amount) }, "noTotal": noTotal,
		"customers": customersText,
		"vendors":   vendorsText,
		"causes":    causesText,
		"unmatched": func(w Window) bool { return w.unmatched() },
		"at":        d.atText,
		"result":    resultText,
		"key":       func(class any) string { return keyOf(fmt.Sprint(class)) },
		"class":     func(i Item) failure.Class { return cmp.Or(i.ClassAfter, i.Class) },
		"reason": func(i Item) string {
			return cmp.Or(text.Sentence(cmp.Or(i.ReasonAfter, i.Reason)), "no reason reported")
		},
		"why": func(i Item) string { return text.Sentence(cmp.Or(i.Why, i.Decision)) },
	}
}

// keyOf returns the name of a class in the style.
func keyOf(class string) string {
	if slices.Contains(classes(), failure.Class(class)) {
		return class
	}
	return string(failure.Unclassified)
}

// atText says when an order failed or was placed, and which of both.
func (d *Document) atText(i Item) string {
	switch {
	case !i.FailedAt.IsZero():
		return "failed " + d.clock(i.FailedAt)
	case !i.PlacedAt.IsZero():
		return "placed " + d.clock(i.PlacedAt)
	default:
		return "unknown"
	}
}

func resultText(i Item) string {
	if i.Outcome != "" {
		return outcomeText(i.Outcome)
	}
	return words(i.Action)
}

// amount returns a total with thin spaces between groups of three digits; "unknown" for none.
func amount(m commerce.Money) string {
	if m.IsZero() {
		return "unknown"
	}
	return text.Grouped(text.Short(m.String()))
}

// noTotal says how many orders have no known total; "" if all have one.
func noTotal(t Tally) string {
	if t.NoTotal == 0 {
		return ""
	}
	return text.Count(t.NoTotal, "order") + " without a known total"
}

func customersText(t Tally) string {
	s := text.Count(t.Customers, "customer")
	if t.NoCustomer > 0 {
		s += ", " + text.Count(t.NoCustomer, "order") + " without a known one"
	}
	return s
}

func vendorsText(g Group) string {
	var names []string
	for _, v := range g.Vendors {
		names = append(names, cmp.Or(text.Short(v), "unknown"))
	}
	s := strings.Join(names, ", ")
	if rest := g.VendorCount - len(g.Vendors); rest > 0 {
		s += fmt.Sprintf(" and %d more", rest)
	}
	return s
}

func causesText(g Group) string {
	var parts []string
	for _, v := range failure.Verdicts() {
		if n := g.Causes[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", grouped(n), v))
		}
	}
	return strings.Join(parts, ", ")
}
