package maintenance

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Calendar is a set of maintenance windows, single and weekly ones. It is immutable and
// safe for concurrent use. A nil *Calendar and the zero Calendar have no windows.
//
// Lookups skip cancelled windows; Windows returns them. Lookups do not depend on the
// clock: a window that has started and has no actual end stays in effect, see [Window].
//
// A lookup among n single windows takes O(log n) and does not allocate. Each weekly rule
// adds about 50 ns, more for a week that is looked up for the first time and outside
// the years 1970 to 2099. An occurrence that is returned allocates its id.
type Calendar struct {
	entries []entry // all of them, in order
	rules   []*rule

	recurring []*rule // those that margins do not empty

	// The entries that are neither cancelled nor empty, in the same order:
	held   []*entry
	starts []time.Time
	latest []int // index of the one that ends last among those up to here
	lasts  []int // tree of the same, see lastsOf
	byEnd  []int // indices ordered by end
}

// entry is a window with its margins applied.
type entry struct {
	Window
	margins
	span Span
}

// margins extend the time in which a window is in effect.
type margins struct{ lead, tail time.Duration }

func (m margins) widen(s Span) Span {
	s.Start = s.Start.Add(-m.lead)
	if !s.End.IsZero() {
		s.End = s.End.Add(m.tail)
	}
	return s
}

func (m margins) plus(lead, tail time.Duration) margins {
	return margins{lead: m.lead + lead, tail: m.tail + tail}
}

// endsBy reports whether the span is over at t.
func (s Span) endsBy(t time.Time) bool { return !s.End.IsZero() && !s.End.After(t) }

// NewCalendar returns a calendar of windows and weekly rules. Ids must be unique across
// both; windows may overlap. It needs time zone data for the zones named.
func NewCalendar(windows []Window, rules ...Weekly) (*Calendar, error) {
	seen := make(map[string]bool, len(windows)+len(rules))
	entries := make([]entry, 0, len(windows))
	for _, w := range windows {
		if err := w.Validate(); err != nil {
			return nil, err
		}
		if seen[w.ID] {
			return nil, fmt.Errorf("maintenance: two windows have the id %q: ids must be unique", w.ID)
		}
		seen[w.ID] = true
		entries = append(entries, entry{Window: w.inUTC()})
	}
	compiled := make([]*rule, 0, len(rules))
	for _, r := range rules {
		c, err := r.compile()
		if err != nil {
			return nil, err
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("maintenance: weekly rule %q has the id of another rule or window: ids must be unique", r.ID)
		}
		seen[r.ID] = true
		compiled = append(compiled, c)
	}
	return index(entries, compiled), nil
}

func index(entries []entry, rules []*rule) *Calendar {
	c := &Calendar{entries: entries}
	taken := make(map[string][]string) // rule id → dates of the windows that replace its occurrences
	for i := range entries {
		e := &entries[i]
		e.span = e.widen(e.Span())
		if rule, date, ok := cutOccurrence(e.ID); ok {
			taken[rule] = append(taken[rule], date)
		}
	}
	for _, r := range rules {
		r = r.replacing(taken)
		c.rules = append(c.rules, r)
		if r.length() > 0 {
			c.recurring = append(c.recurring, r)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(compareSpans(a.span, b.span), cmp.Compare(a.ID, b.ID)) })
	for i := range entries {
		e := &entries[i]
		if e.Cancelled || e.span.endsBy(e.span.Start) {
			continue
		}
		n := len(c.held)
		last := n
		if n > 0 && compareEnds(c.held[c.latest[n-1]].span, e.span) >= 0 {
			last = c.latest[n-1]
		}
		c.held = append(c.held, e)
		c.starts = append(c.starts, e.span.Start)
		c.latest = append(c.latest, last)
		c.byEnd = append(c.byEnd, n)
	}
	c.lasts = lastsOf(c.held)
	slices.SortStableFunc(c.byEnd, func(a, b int) int { return compareEnds(c.held[a].span, c.held[b].span) })
	return c
}

// cutOccurrence splits the id of an occurrence: "weekly@2026-02-21".
func cutOccurrence(id string) (rule, date string, found bool) {
	if i := strings.LastIndexByte(id, '@'); i >= 0 {
		return id[:i], id[i+1:], true
	}
	return id, "", false
}

// compareSpans orders by start, then the one that ends later first.
func compareSpans(a, b Span) int {
	return cmp.Or(a.Start.Compare(b.Start), compareEnds(b, a))
}

// compareEnds compares the ends of spans; an open end comes last.
func compareEnds(a, b Span) int {
	switch {
	case a.End.IsZero() && b.End.IsZero():
		return 0
	case a.End.IsZero():
		return 1
	case b.End.IsZero():
		return -1
	default:
		return a.End.Compare(b.End)
	}
}

// Windows returns the single windows, including cancelled ones, oldest first. It does not
// return the occurrences of weekly rules: see [Calendar.Overlapping].
func (c *Calendar) Windows() []Window {
	if c == nil {
		return nil
	}
	windows := make([]Window, 0, len(c.entries))
	for i := range c.entries {
		windows = append(windows, c.entries[i].Window)
	}
	return windows
}

// Weekly returns the weekly rules in the order of NewCalendar.
func (c *Calendar) Weekly() []Weekly {
	if c == nil {
		return nil
	}
	rules := make([]Weekly, 0, len(c.rules))
	for _, r := range c.rules {
		w := r.Weekly
		w.Except = slices.Clone(w.Except)
		rules = append(rules, w)
	}
	return rules
}

// occurrence is a window that is not built yet: an entry, or a week of a rule.
type occurrence struct {
	span  Span
	entry *entry
	rule  *rule
	n     int // the week, or the index in held
}

func (o occurrence) window() Window {
	if o.entry != nil {
		return o.entry.Window
	}
	return o.rule.window(o.n)
}

func (o occurrence) none() bool { return o.entry == nil && o.rule == nil }

func (o occurrence) found() (Window, bool) {
	if o.none() {
		return Window{}, false
	}
	return o.window(), true
}

// before reports whether o comes before p in the order of windows.
func (o occurrence) before(p occurrence) bool {
	if d := compareSpans(o.span, p.span); d != 0 {
		return d < 0
	}
	return o.window().ID < p.window().ID
}

// At returns the window in effect at t. Of several it returns the one that ends last, and
// of these the one that started first.
func (c *Calendar) At(t time.Time) (Window, bool) {
	if c == nil {
		return Window{}, false
	}
	var best occurrence
	if n := c.startedBy(t); n > 0 {
		if e := c.held[c.latest[n-1]]; e.span.Contains(t) {
			best = occurrence{span: e.span, entry: e}
		}
	}
	for _, r := range c.recurring {
		if o, ok := r.holdingAt(t); ok && (best.none() || later(o, best)) {
			best = o
		}
	}
	return best.found()
}

// later reports whether o ends after p or, ending with it, comes before it.
func later(o, p occurrence) bool {
	d := compareEnds(o.span, p.span)
	return d > 0 || d == 0 && o.before(p)
}

// startedBy returns the number of held windows that start at or before t.
func (c *Calendar) startedBy(t time.Time) int {
	lo, hi := 0, len(c.starts)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c.starts[mid].After(t) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Next returns the first window that starts at or after t. Of several with the same
// start it returns the one that ends last.
func (c *Calendar) Next(t time.Time) (Window, bool) {
	if c == nil {
		return Window{}, false
	}
	var best occurrence
	i, _ := slices.BinarySearchFunc(c.starts, t, time.Time.Compare)
	if i < len(c.held) {
		best = occurrence{span: c.held[i].span, entry: c.held[i]}
	}
	for _, r := range c.recurring {
		if week, ok := r.firstFrom(t); ok {
			o := occurrence{span: r.span(week), rule: r, n: week}
			if best.none() || o.before(best) {
				best = o
			}
		}
	}
	return best.found()
}

// Last returns the window that ended last, at or before t. Of several with the same end
// it returns the one that started first.
func (c *Calendar) Last(t time.Time) (Window, bool) {
	if c == nil {
		return Window{}, false
	}
	var best occurrence
	if e := c.lastEnded(t); e != nil {
		best = occurrence{span: e.span, entry: e}
	}
	for _, r := range c.recurring {
		week, ok := r.lastEnded(t)
		if !ok {
			continue
		}
		o := occurrence{span: r.span(week), rule: r, n: week}
		if best.none() || later(o, best) {
			best = o
		}
	}
	return best.found()
}

func (c *Calendar) lastEnded(t time.Time) *entry {
	n, _ := slices.BinarySearchFunc(c.byEnd, t, func(i int, t time.Time) int {
		if c.held[i].span.endsBy(t) {
			return -1
		}
		return 1
	})
	if n == 0 {
		return nil
	}
	// Those with the same end are adjacent, the first to start first.
	end := c.held[c.byEnd[n-1]].span
	first, _ := slices.BinarySearchFunc(c.byEnd[:n], end, func(i int, end Span) int {
		return compareEnds(c.held[i].span, end)
	})
	return c.held[c.byEnd[first]]
}

// Overlapping returns the windows in effect at some time in [from, to), oldest first. It
// builds every occurrence of a weekly rule in the range: for long ranges use
// [Calendar.OverlappingSeq].
func (c *Calendar) Overlapping(from, to time.Time) []Window {
	return slices.Collect(c.OverlappingSeq(from, to))
}

// OverlappingSeq iterates over the windows in effect at some time in [from, to), oldest first. They
// are built one at a time, so a very long range is cheap.
func (c *Calendar) OverlappingSeq(from, to time.Time) iter.Seq[Window] {
	return func(yield func(Window) bool) {
		for o := range c.occurrences(from, to) {
			if !yield(o.window()) {
				return
			}
		}
	}
}

// Spans returns the times in [from, to) in which any window is in effect, as disjoint
// spans, oldest first. They are clipped to the range: an open end becomes to.
func (c *Calendar) Spans(from, to time.Time) []Span {
	from, to = from.UTC(), to.UTC()
	var spans []Span
	for o := range c.occurrences(from, to) {
		s := o.span
		if s.Start.Before(from) {
			s.Start = from
		}
		if s.End.IsZero() || s.End.After(to) {
			s.End = to
		}
		if n := len(spans); n > 0 && !s.Start.After(spans[n-1].End) {
			if s.End.After(spans[n-1].End) {
				spans[n-1].End = s.End
			}
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

func (c *Calendar) occurrences(from, to time.Time) iter.Seq[occurrence] {
	return func(yield func(occurrence) bool) {
		if c == nil || !from.Before(to) {
			return
		}
		heads := make([]occurrence, 0, 1+len(c.recurring)) // the next one of each source
		heads = append(heads, c.entryFrom(0, from, to))
		for _, r := range c.recurring {
			// It ends at or before from, so the next one does not.
			week, _ := r.lastEnded(from)
			heads = append(heads, r.occurrenceFrom(week+1, to))
		}
		for {
			first := &heads[0]
			for i := range heads {
				if first.none() || !heads[i].none() && heads[i].before(*first) {
					first = &heads[i]
				}
			}
			if first.none() || !yield(*first) {
				return
			}
			if first.rule != nil {
				*first = first.rule.occurrenceFrom(first.n+1, to)
			} else {
				*first = c.entryFrom(first.n+1, from, to)
			}
		}
	}
}

// entryFrom returns the first held entry from index i on that is in [from, to).
func (c *Calendar) entryFrom(i int, from, to time.Time) occurrence {
	i = c.endingAfter(i, from)
	if i == len(c.held) || !c.starts[i].Before(to) {
		return occurrence{}
	}
	return occurrence{span: c.held[i].span, entry: c.held[i], n: i}
}

// lastsOf builds a tree that finds entries ending after an instant without visiting all
// that ended before. Each node has the index of the entry that ends last below it, or
// -1. The children of node i are 2i and 2i+1, the root is 1, and the leaves are the
// entries in order.
func lastsOf(held []*entry) []int {
	leaves := 1
	for leaves < len(held) {
		leaves *= 2
	}
	tree := slices.Repeat([]int{-1}, 2*leaves)
	for i := range held {
		tree[leaves+i] = i
	}
	for i := leaves - 1; i > 0; i-- {
		left, right := tree[2*i], tree[2*i+1]
		tree[i] = left
		if right >= 0 && compareEnds(held[left].span, held[right].span) < 0 {
			tree[i] = right
		}
	}
	return tree
}

// endingAfter returns the index of the first held entry from index i on that ends after t,
// or len(held).
func (c *Calendar) endingAfter(i int, t time.Time) int {
	if i >= len(c.held) {
		return len(c.held)
	}
	lasts := func(node int) bool { return c.lasts[node] >= 0 && !c.held[c.lasts[node]].span.endsBy(t) }
	leaves := len(c.lasts) / 2
	node := leaves + i
	for !lasts(node) {
		for node%2 == 1 { // nothing to the right under the same parent
			node /= 2
		}
		if node == 0 { // it was the right edge of the tree
			return len(c.held)
		}
		node++
	}
	for node < leaves {
		if node *= 2; !lasts(node) {
			node++
		}
	}
	return node - leaves
}

// WithMargins returns a calendar in which each window is in effect from lead before its
// start until tail after its end, in addition to existing margins. Lookups use the
// margins; the windows that they return keep their own times. A negative margin narrows,
// and a window narrowed to nothing is never in effect.
func (c *Calendar) WithMargins(lead, tail time.Duration) *Calendar {
	if c == nil {
		return nil
	}
	entries, rules := slices.Clone(c.entries), make([]*rule, 0, len(c.rules))
	for i := range entries {
		entries[i].margins = entries[i].plus(lead, tail)
	}
	for _, r := range c.rules {
		widened := *r
		widened.margins = r.plus(lead, tail)
		rules = append(rules, &widened)
	}
	return index(entries, rules)
}

func (c *Calendar) hasMargins() bool {
	if c == nil {
		return false
	}
	none := margins{}
	return slices.ContainsFunc(c.entries, func(e entry) bool { return e.margins != none }) ||
		slices.ContainsFunc(c.rules, func(r *rule) bool { return r.margins != none })
}

// Merge returns a calendar of the windows and rules of c and the others, with their
// margins. Of several with the same id the last one wins.
func (c *Calendar) Merge(others ...*Calendar) *Calendar {
	all := append([]*Calendar{c}, others...)
	seen := make(map[string]bool)
	first := func(id string) bool {
		if seen[id] {
			return false
		}
		seen[id] = true
		return true
	}
	var entries []entry
	var rules []*rule
	for _, c := range slices.Backward(all) {
		if c == nil {
			continue
		}
		for _, e := range c.entries {
			if first(e.ID) {
				entries = append(entries, e)
			}
		}
		for _, r := range slices.Backward(c.rules) {
			if first(r.ID) {
				rules = append(rules, r)
			}
		}
	}
	slices.Reverse(rules)
	return index(entries, rules)
}
