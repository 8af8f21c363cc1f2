package console

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// planBody is the page of a plan.
type planBody struct {
	list
	Run      *state.Run
	Previous *state.Run // the plan before it; nil if there is none
	Approved string     // who approved it; "" if nobody did
	Approve  step
	Discard  step
	Revoke   step
	Open     bool            // it can be approved or discarded
	Pending  []state.Command // that were not obeyed yet
}

// list is a list of orders with filters.
type list struct {
	Page     string // its address
	ID       string // of the run; "" for the orders that were read last
	Header   plan.Header
	Tabs     []tab
	Sel      selectionForm
	Found    int
	From, To int // of the rows, from 1
	Rows     []planRow
	Before   string // the page before; "" if there is none
	After    string // the next page
	CSV      string
	Mismatch []string

	outcomes []protocol.Outcome // of all orders of the plan; none if it was not applied
}

// step is a button, and why it does not work for the user.
type step struct{ Denied string }

// tab is the orders of one decision.
type tab struct {
	Label, Href string
	Current     bool
	*tally
	Acts string
}

// selectionForm is what the form for filters has.
type selectionForm struct {
	Action, Window, Query string
	Size                  int
}

// planRow is an order of a plan.
type planRow struct {
	*plan.Entry
	Lane    string           // such as "2 of 3, after SO000011"
	Outcome protocol.Outcome // "" if the plan was not applied, or does not resubmit the order
}

// planPage shows a plan.
func planPage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	p, leave, err := v.site.open(run)
	if err != nil {
		return err
	}
	defer leave()
	body := &planBody{list: list{Page: "plan", ID: run.ID}, Run: run}
	body.Open = !run.Ended() && run.StartedAt.IsZero()
	body.Approve = step{v.denied(Approve, "approve", run)}
	body.Discard = step{v.denied(Control, "discard", run)}
	body.Revoke = step{v.denied(Approve, "revoke", run)}
	body.Approved = v.site.approver(run)
	status, err := v.site.dir.Status()
	if err != nil {
		return err
	}
	if status.Run != nil && status.Run.ID == run.ID {
		body.Pending = status.Commands
	}
	if body.Previous, err = v.site.previous(run); err != nil {
		return err
	}
	if run.Ended() && !run.StartedAt.IsZero() {
		doc, err := v.site.documentOf(run)
		if err != nil {
			return err
		}
		body.outcomes = doc.outcomes
	}
	return v.showList("plan", head{Title: "Plan " + runName(run), Page: "plan", Body: body}, &body.list, p)
}

// ordersPage lists the failed orders as they were read last.
func ordersPage(v *visit) error {
	p, leave, err := v.site.snapshot()
	if err != nil {
		return err
	}
	if p == nil {
		return notFound("the failed orders were never read; read them on the page Overview")
	}
	defer leave()
	body := &list{Page: "orders"}
	return v.showList("orders", head{Title: "Failed orders, one by one", Page: "overview", Body: body}, body, p)
}

// showList fills a list and shows its page.
func (v *visit) showList(name string, h head, l *list, p *shared) error {
	l.Header, l.Mismatch = p.Header(), p.Mismatched()
	sel, err := v.selection(&l.Sel)
	l.tabs(p)
	if err == nil {
		err = v.fill(l, p, sel)
	}
	return v.show(name, h, err)
}

// previous returns the run before a run; nil if there is none.
func (s *site) previous(run *state.Run) (*state.Run, error) {
	runs, err := s.dir.Runs()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(runs, func(r state.Run) bool { return r.ID == run.ID })
	if i < 1 {
		return nil, nil
	}
	return &runs[i-1], nil
}

// maxQuery is the longest filter in bytes.
const maxQuery = 4 << 10

// selection returns the orders that a request asks for, and fills the form with it.
func (v *visit) selection(form *selectionForm) (selection, error) {
	form.Action, form.Window, form.Query = v.field("tab"), v.field("window"), strings.TrimSpace(v.field("q"))
	size, err := v.int("n", pageSizes[1])
	form.Size = size
	sel := selection{action: rules.Action(form.Action), window: form.Window, query: form.Query}
	switch {
	case err != nil:
		return sel, err
	case !slices.Contains(pageSizes, size):
		return sel, wrongField("n", "a page has 50, 100 or 500 orders, not %d", size)
	case sel.action != "" && !slices.Contains(rules.Actions(), sel.action):
		return sel, wrongField("tab", "there is no decision %q", text.Short(form.Action))
	case len(form.Query) > maxQuery:
		form.Query = ""
		return sel, wrongField("q", "the filter is longer than %d bytes", maxQuery)
	}
	return sel, nil
}

// fill adds the rows and links of the page that a request asks for.
func (v *visit) fill(l *list, p *shared, sel selection) error {
	position, err := v.int("from", 0)
	if err != nil {
		return err
	}
	found, err := v.search(p, sel)
	if err != nil {
		return err
	}
	l.Found = found.count()
	page, next := found.page(position, l.Sel.Size, len(p.offsets))
	for _, i := range page {
		e, err := p.EntryAt(p.offsets[i])
		if err != nil {
			return err
		}
		row := planRow{Entry: e, Lane: p.lane(e)}
		if len(l.outcomes) == len(p.offsets) {
			row.Outcome = l.outcomes[i]
		}
		l.Rows = append(l.Rows, row)
	}
	l.From = found.rank(min(max(position, 0), len(p.offsets))) + 1
	l.To = l.From + len(page) - 1
	if next >= 0 {
		l.After = l.link(l.Page, l.Sel.Action, next)
	}
	if before := found.before(min(position, len(p.offsets)), l.Sel.Size); before >= 0 {
		l.Before = l.link(l.Page, l.Sel.Action, before)
	}
	l.CSV = l.link(l.Page+".csv", l.Sel.Action, "")
	return nil
}

// link returns the address of the list with the filters, for a decision and from a position on.
func (l *list) link(page, action string, from any) string {
	return query(page, "run", l.ID, "tab", action, "window", l.Sel.Window, "q", l.Sel.Query, "n", l.Sel.Size, "from", from)
}

// tabs adds a tab for each decision that the orders have.
func (l *list) tabs(p *shared) {
	l.Tabs = []tab{{
		Label: "All", Href: l.link(l.Page, "", ""), Current: l.Sel.Action == "", tally: &tally{Orders: p.Counts().Total},
	}}
	for _, a := range rules.Actions() {
		if t := p.tally(a); t.Orders > 0 {
			href := l.link(l.Page, string(a), "")
			l.Tabs = append(l.Tabs, tab{actionWords(a), href, l.Sel.Action == string(a), t, actsNext(a)})
		}
	}
}

// lane says after which order of its subscriptions an order comes; "" if it is the only one.
func (o *opened) lane(e *plan.Entry) string {
	index := o.Index()
	i, ok := index.Find(e.OrderID)
	if !ok || e.Decision.Action != rules.Resubmit {
		return ""
	}
	before, behind := 0, 0
	for j, more := index.Previous(i); more && before < maxLane; j, more = index.Previous(j) {
		before++
	}
	for j, more := index.Next(i); more && behind < maxLane; j, more = index.Next(j) {
		behind++
	}
	if before+behind == 0 {
		return ""
	}
	lane := count(before+1) + " of " + count(before+behind+1)
	if before == maxLane || behind == maxLane {
		lane += " or more"
	}
	if j, more := index.Previous(i); more {
		if previous, err := index.Entry(j); err == nil {
			lane += ", after " + shown(cmp.Or(previous.Number, previous.OrderID))
		}
	}
	return lane
}

// maxLane is how many orders of a lane are counted in each direction.
const maxLane = 1000

// rank returns how many orders of a bitmap are before position.
func (b bitmap) rank(position int) (n int) {
	for i := range position {
		if b.has(i) {
			n++
		}
	}
	return n
}
