package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// DiffKind says what changed about an order.
type DiffKind string

// The kinds of differences.
const (
	// DiffSame means that nothing recorded in the plans has changed.
	DiffSame DiffKind = "same"
	// DiffChanged means that the failure, the decision or the target has changed.
	DiffChanged DiffKind = "changed"
	// DiffGone means that the order is no longer among the failed orders: it recovered, or somebody cancelled,
	// resubmitted or completed it. resubmit.CheckPlan reads the order to find out.
	DiffGone DiffKind = "left"
	// DiffNew means that the order was not among the failed orders before.
	DiffNew DiffKind = "new"
	// DiffUnread means that the order could not be read.
	DiffUnread DiffKind = "unread"
)

// Difference is the difference of one order between two plans, or between a plan and the present. Its JSON form is an
// object with the order, the kind and the changes.
type Difference struct {
	Kind DiffKind
	// Old is the entry in the older plan; nil for a new order. New is the entry in the newer plan; nil if the order
	// is not in it, and for a comparison with the present.
	Old, New *Entry
	// Text describes the changes; empty for DiffSame.
	Text string
}

// entry returns the newest entry of the order.
func (d Difference) entry() *Entry {
	if d.New != nil {
		return d.New
	}
	return d.Old
}

// String returns the difference on one line, for people.
func (d Difference) String() string {
	e := d.entry()
	line := fmt.Sprintf("%-7s %s", d.Kind, text.Short(e.Label()))
	if d.Text != "" {
		line += ": " + d.Text
	}
	return text.Clean(line)
}

// MarshalJSON returns the difference as one JSON object.
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

// DiffCounts has the number of orders by kind of difference.
type DiffCounts struct {
	Same    int `json:"same"`
	Changed int `json:"changed"`
	Gone    int `json:"left"`
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
	case DiffGone:
		c.Gone++
	case DiffNew:
		c.New++
	case DiffUnread:
		c.Unread++
	}
}

// String returns the counts on one line.
func (c DiffCounts) String() string {
	s := fmt.Sprintf("%d left the failed orders, %d new, %d changed, %d the same", c.Gone, c.New, c.Changed, c.Same)
	if c.Unread > 0 {
		s += fmt.Sprintf(", %d could not be read", c.Unread)
	}
	return s
}

// Diff compares two plans order by order. It calls each, if not nil, for every difference except [DiffSame], about
// oldest order first. An error of each ends the comparison.
//
// It reads both plans once, and keeps in memory only orders that were placed in the same second or at an unknown time.
// An order whose time of placing is known in only one plan counts as left and as new. Plans with different systems,
// views or filters are rejected, because an order missing from one of them would mean nothing.
func Diff(old, newer *Plan, each func(Difference) error) (DiffCounts, error) {
	if old == nil || newer == nil {
		return DiffCounts{}, errors.New("plan: compare: a plan is nil; read both with Open or Read")
	}
	a, b := old.header, newer.header
	switch {
	case a.View != b.View:
		return DiffCounts{}, fmt.Errorf("plan: compare: the plans have different views, %q and %q; make the newer one with "+
			"the view of the older", text.Short(a.View), text.Short(b.View))
	case a.Filter != b.Filter:
		return DiffCounts{}, fmt.Errorf("plan: compare: the plans have different filters, %q and %q; make the newer one "+
			"with the filter of the older", text.Short(a.Filter), text.Short(b.Filter))
	case a.System != b.System && a.System != "" && b.System != "":
		return DiffCounts{}, fmt.Errorf("plan: compare: %w: the older one was made for %s, the newer one for %s",
			ErrSystemMismatch, text.Short(a.System), text.Short(b.System))
	}
	d := &differ{each: each}
	err := d.run(old, newer)
	return d.counts, err
}

type differ struct {
	each   func(Difference) error
	counts DiffCounts
}

// run merges the entries of both plans second by second.
func (d *differ) run(old, newer *Plan) error {
	a, b := newSeconds(old), newSeconds(newer)
	defer a.stop()
	defer b.stop()
	if err := cmp.Or(a.advance(), b.advance()); err != nil {
		return err
	}
	for len(a.entries) > 0 || len(b.entries) > 0 {
		fromA, fromB := a.before(b), b.before(a)
		var older, later []*Entry
		var err error
		if fromA {
			older, err = a.take()
		}
		if fromB && err == nil {
			later, err = b.take()
		}
		if err == nil {
			err = d.compare(older, later)
		}
		if err != nil {
			return err
		}
	}
	return d.compare(a.undated, b.undated)
}

// compare compares the entries of one second.
func (d *differ) compare(older, later []*Entry) error {
	byID := make(map[string]*Entry, len(later))
	for _, e := range later {
		byID[e.OrderID] = e
	}
	for _, old := range older {
		e := byID[old.OrderID]
		delete(byID, old.OrderID)
		if err := d.report(differenceOf(old, e)); err != nil {
			return err
		}
	}
	for _, e := range later {
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

// differenceOf compares two entries of one order, of which one may be nil.
func differenceOf(old, e *Entry) Difference {
	switch {
	case e == nil:
		return Difference{Kind: DiffGone, Old: old,
			Text: "no longer among the failed orders: it recovered, or somebody moved or cancelled it"}
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

// seconds reads the entries of a plan in groups that were placed in the same second.
type seconds struct {
	next    func() (*Entry, error, bool)
	stop    func()
	at      time.Time
	entries []*Entry // placed in the second at; none at the end
	ahead   *Entry   // the first one of the next group
	undated []*Entry // without a time of placing
}

func newSeconds(p *Plan) *seconds {
	s := &seconds{}
	s.next, s.stop = iter.Pull2(p.Entries())
	return s
}

// before reports whether s has entries and other has none of an earlier second.
func (s *seconds) before(other *seconds) bool {
	return len(s.entries) > 0 && (len(other.entries) == 0 || !s.at.After(other.at))
}

// take returns the entries of the current second and reads the next ones.
func (s *seconds) take() ([]*Entry, error) {
	entries := s.entries
	return entries, s.advance()
}

func (s *seconds) advance() error {
	s.entries = nil
	if s.ahead != nil {
		s.entries, s.at, s.ahead = []*Entry{s.ahead}, second(s.ahead), nil
	}
	for {
		e, err, ok := s.next()
		switch {
		case !ok:
			return nil
		case err != nil:
			return err
		case e.Before.PlacedAt.IsZero():
			s.undated = append(s.undated, e)
			continue
		case len(s.entries) > 0 && !second(e).Equal(s.at):
			s.ahead = e
			return nil
		}
		s.entries, s.at = append(s.entries, e), second(e)
	}
}

func second(e *Entry) time.Time { return e.Before.PlacedAt.Truncate(time.Second) }
