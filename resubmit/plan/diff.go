package plan

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// DiffKind is what became of an order between one look and the next.
type DiffKind string

// The kinds of differences.
const (
	// DiffSame: nothing that the plans tell has changed.
	DiffSame DiffKind = "same"
	// DiffChanged: its failure, the decision or the target is another one.
	DiffChanged DiffKind = "changed"
	// DiffLeft: it is not among the failed orders any more. Most of those healed
	// alone, but a list of failed orders cannot tell that from an order that somebody
	// cancelled, resubmitted or completed by hand: CheckPlan reads it.
	DiffLeft DiffKind = "left"
	// DiffNew: it was not among them before.
	DiffNew DiffKind = "new"
	// DiffUnread: it could not be looked at.
	DiffUnread DiffKind = "unread"
)

// Difference is one order in two looks. As JSON it is an object that names the order,
// the kind, and in words what changed.
type Difference struct {
	Kind DiffKind
	// Old is its entry in the older plan, nil if it is new; New that in the newer plan,
	// nil if it is not in it, and after CheckPlan.
	Old, New *Entry
	// What is a sentence; "" for one that is the same.
	Text string
}

// entry is the newest entry of the order.
func (d Difference) entry() *Entry {
	if d.New != nil {
		return d.New
	}
	return d.Old
}

// String is the difference on one line, for people.
func (d Difference) String() string {
	e := d.entry()
	line := fmt.Sprintf("%-7s %s", d.Kind, text.Short(e.Label()))
	if d.Text != "" {
		line += ": " + d.Text
	}
	return text.Clean(line)
}

// MarshalJSON writes the difference as one object.
func (d Difference) MarshalJSON() ([]byte, error) {
	type side struct {
		Fingerprint string       `json:"fingerprint"`
		Action      rules.Action `json:"action"`
		Rule        string       `json:"rule"`
		Target      string       `json:"target,omitempty"`
		Status      string       `json:"status"`
	}
	of := func(e *Entry) *side {
		if e == nil {
			return nil
		}
		return &side{e.Fingerprint, e.Decision.Action, e.Decision.RuleID, string(e.Target), string(e.Before.Status)}
	}
	e := d.entry()
	b, err := json.Marshal(struct {
		Kind   DiffKind `json:"kind"`
		ID     string   `json:"id"`
		Number string   `json:"number"`
		What   string   `json:"what,omitempty"`
		Old    *side    `json:"old,omitempty"`
		New    *side    `json:"new,omitempty"`
	}{d.Kind, e.OrderID, e.Number, d.Text, of(d.Old), of(d.New)})
	return text.EscapeJSON(b), err
}

// DiffCounts counts orders by kind.
type DiffCounts struct {
	Same    int `json:"same"`
	Changed int `json:"changed"`
	Left    int `json:"left"`
	New     int `json:"new"`
	Unread  int `json:"unread"`
}

// Add counts one order.
func (c *DiffCounts) Add(k DiffKind) {
	switch k {
	case DiffSame:
		c.Same++
	case DiffChanged:
		c.Changed++
	case DiffLeft:
		c.Left++
	case DiffNew:
		c.New++
	case DiffUnread:
		c.Unread++
	}
}

// String is the counts in one sentence.
func (c DiffCounts) String() string {
	s := fmt.Sprintf("%d left the failed orders, %d new, %d changed, %d the same", c.Left, c.New, c.Changed, c.Same)
	if c.Unread > 0 {
		s += fmt.Sprintf(", %d could not be read", c.Unread)
	}
	return s
}

// Diff compares two plans order by order and gives each difference to each,
// about oldest first; those that are the same are only counted. Without each all are
// only counted. An error of each ends it.
//
// Both plans are read once, side by side. What is held in memory are the orders that
// were placed in the same second, and those that do not tell when they were placed.
// Plans made with another view or filter select other orders: that an order left, or
// is new, then says nothing, and so it is refused. An order that tells in one plan
// when it was placed and does not in the other counts as left and as new.
func Diff(old, newer *Plan, each func(Difference) error) (DiffCounts, error) {
	if old == nil || newer == nil {
		return DiffCounts{}, fmt.Errorf("resubmit: compare plans: one is nil; read both with Open or Read")
	}
	for _, what := range [][3]string{{"view", old.header.View, newer.header.View},
		{"filter", old.header.Filter, newer.header.Filter}} {
		if what[1] != what[2] {
			return DiffCounts{},
				fmt.Errorf(
					"resubmit: compare plans: they have another %s, %q and %q, so that what is missing in one says nothing; make "+
						"the newer one with the %s of the older",
					what[0], text.Short(what[1]), text.Short(what[2]), what[0])
		}
	}
	if a, b := old.header.System, newer.header.System; a != b && a != "" && b != "" {
		return DiffCounts{}, fmt.Errorf("resubmit: compare plans: %w: the older one was made for %s, the newer one "+
			"for %s",
			ErrSystemMismatch, text.Short(a), text.Short(b))
	}
	d := &differ{each: each}
	err := d.run(old, newer)
	return d.counts, err
}

type differ struct {
	each   func(Difference) error
	counts DiffCounts
	untold [2][]*Entry // of the two plans, those that do not tell when they were placed
}

func (d *differ) run(old, newer *Plan) error {
	nextOld, stopOld := iter.Pull2(old.Entries())
	defer stopOld()
	nextNew, stopNew := iter.Pull2(newer.Entries())
	defer stopNew()
	a, b := &moments{next: nextOld, untold: &d.untold[0]}, &moments{next: nextNew, untold: &d.untold[1]}
	for _, m := range []*moments{a, b} {
		if err := m.advance(); err != nil {
			return err
		}
	}
	for len(a.entries) > 0 || len(b.entries) > 0 {
		var was, is *moments
		if len(b.entries) == 0 || len(a.entries) > 0 && !a.at.After(b.at) {
			was = a
		}
		if len(a.entries) == 0 || len(b.entries) > 0 && !b.at.After(a.at) {
			is = b
		}
		if err := d.join(was.now(), is.now()); err != nil {
			return err
		}
		for _, m := range []*moments{was, is} {
			if m == nil {
				continue
			}
			if err := m.advance(); err != nil {
				return err
			}
		}
	}
	return d.join(d.untold[0], d.untold[1])
}

// join compares what two plans have of one moment.
func (d *differ) join(was, is []*Entry) error {
	byID := make(map[string]*Entry, len(is))
	for _, e := range is {
		byID[e.OrderID] = e
	}
	for _, old := range was {
		e := byID[old.OrderID]
		delete(byID, old.OrderID)
		if err := d.report(differenceOf(old, e)); err != nil {
			return err
		}
	}
	for _, e := range is {
		if byID[e.OrderID] != e {
			continue
		}
		if err := d.report(differenceOf(nil, e)); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) report(x Difference) error {
	d.counts.Add(x.Kind)
	if x.Kind == DiffSame || d.each == nil {
		return nil
	}
	return d.each(x)
}

// differenceOf compares two entries of one order; one of them may be nil.
func differenceOf(old, e *Entry) Difference {
	switch {
	case e == nil:
		return Difference{Kind: DiffLeft, Old: old,
			Text: "not among the failed orders any more: it healed alone, or somebody moved or cancelled it"}
	case old == nil:
		return Difference{Kind: DiffNew, New: e, Text: "failed since, " + actionText(e)}
	}
	var changes []string
	if changed := old.Before.Diff(e.Before); changed != "" {
		changes = append(changes, changed)
	}
	if old.Decision.Action != e.Decision.Action || old.Decision.RuleID != e.Decision.RuleID {
		changes = append(changes, fmt.Sprintf("decision %s → %s", actionText(old), actionText(e)))
	}
	if old.Target != e.Target {
		changes = append(changes, fmt.Sprintf("target %q → %q", text.Short(string(old.Target)), text.Short(string(e.Target))))
	}
	if !slices.Equal(old.Subscriptions, e.Subscriptions) || old.TenantID != e.TenantID {
		changes = append(changes, "other subscriptions or another tenant")
	}
	if len(changes) == 0 {
		return Difference{Kind: DiffSame, Old: old, New: e}
	}
	return Difference{Kind: DiffChanged, Old: old, New: e, Text: strings.Join(changes, "; ")}
}

func actionText(e *Entry) string {
	return fmt.Sprintf("%s (%s)", e.Decision.Action, text.Short(e.Decision.RuleID))
}

// moments reads a plan second by second.
type moments struct {
	next    func() (*Entry, error, bool)
	ahead   *Entry // read, and of a later second
	untold  *[]*Entry
	at      time.Time
	entries []*Entry // placed in the second at; none at the end
}

// now returns the entries of the second; nil when m is nil.
func (m *moments) now() []*Entry {
	if m == nil {
		return nil
	}
	return m.entries
}

func (m *moments) advance() error {
	m.entries = m.entries[:0]
	if m.ahead != nil {
		m.entries, m.at, m.ahead = append(m.entries, m.ahead), second(m.ahead), nil
	}
	for {
		e, err, ok := m.next()
		switch {
		case !ok:
			return nil
		case err != nil:
			return err
		case e.Before.PlacedAt.IsZero():
			*m.untold = append(*m.untold, e)
			continue
		case len(m.entries) > 0 && !second(e).Equal(m.at):
			m.ahead = e
			return nil
		}
		m.entries, m.at = append(m.entries, e), second(e)
	}
}

func second(e *Entry) time.Time { return e.Before.PlacedAt.Truncate(time.Second) }
