package paging

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Unknown is the total of a list whose answers do not state one.
const Unknown = -1

// MinSize is the smallest page with which a walk advances, because pages overlap.
const MinSize = 2

// NoKey is the key of a row whose place in the order is not known.
const NoKey = math.MinInt64

// lowest is the key of rows in a list without known keys: they all tie.
const lowest = NoKey + 1

// Row is what a walk needs to know about a row.
type Row struct {
	ID string
	// Key is what the list is sorted by. It does not decrease along the list; rows with
	// equal keys may come in any order. See [TimeKey].
	Key int64
	// Nameless says that the ID was made up from what was sent, so that other rows may have
	// it as well.
	Nameless bool
}

// TimeKey returns the key of a list that is sorted by a time; [NoKey] for the zero time.
func TimeKey(t time.Time, newestFirst bool) int64 {
	switch {
	case t.IsZero():
		return NoKey
	case newestFirst:
		return -t.UnixMilli()
	default:
		return t.UnixMilli()
	}
}

// Walk reads a list in pages by position. Rows may appear, leave, and, where their
// keys are equal, come in another order with each answer.
//
// The walk returns every row that is in the list from the first answer to the last, or
// an error. The proof uses that rows with different keys keep their order. The frontier
// is the key of the last row taken; all staying rows with smaller keys have been seen.
//
//   - A page normally begins with the last row before those of the frontier. If its first
//     row was seen before and its key is below the frontier, then all rows from the
//     frontier up to the page's own last key lie between its first and its last row: they
//     are in this one answer, however ties are ordered and whatever has left. So all
//     staying rows below the last key have been seen, and that key is the new frontier.
//     If it begins with any other row, rows before it have left and there may be a gap:
//     the page is discarded and the walk steps back.
//   - If the rows of one key do not fit into a page, their pages overlap by one row. Such
//     a page must begin with a row seen before, for the same reason. When a larger key or
//     the end of the list is reached, the positions that the key occupies are counted: if
//     the rows stayed in place, each has one position, so fewer distinct rows than
//     positions mean that a row was missed. The walk then reads these pages again, until
//     the counts agree. A row that was seen and has left would take the place of one that
//     was missed, so the rows are then counted anew. If the second count finds the same
//     rows, all of them were there when the first one ended, and as they were as many as
//     the positions, there was no other.
//   - Ties that keep their order need no second count: if a row leaves, the next page begins
//     with a row not seen before. They are taken to do so if the rows of every page were in
//     the order of the count before, in three counts in a row. Without that, a long list in
//     which rows leave all the time could not be read.
//   - A list in which a row has no key, or whose keys decrease, is one of a single key: what
//     such a row ties with is not certain, so that positions of a key could not be counted.
//
// The list ends where a page brings nothing new although it could hold more rows, for it
// has fewer than another page had: only the row seen last, or rows up to the total. A total
// never ends a list by itself; one that is larger than the list is an error, unless the
// walk is Filtered.
//
// Two cases look exactly like a shorter list, so that a row may be missed in them: ties in
// another order with each answer, a row of them that leaves, and pages of different sizes,
// where the last page seems to be the end; and the same ties while rows before them leave
// and as many appear.
type Walk struct {
	// Filtered says that the server was asked for some of the rows only. It may count all
	// of them all the same, so that a total that is larger than the list proves nothing:
	// see Excess.
	Filtered bool

	size  int // rows to ask for
	limit int // rows of a list that is read at most
	start int // position of the page to ask for next
	done  bool

	seen    map[string]struct{}
	keyless bool
	// frontier is the key of the last row taken, base the position of the first row with
	// that key, and group the rows with it that have been seen.
	frontier int64
	base     int
	group    map[string]int // row → how many were counted before it
	inside   bool           // the next page begins with a row of the frontier
	whole    bool           // one answer had the group, the row before it, and the end of the list

	// counted is the group as it was counted before, and countedBase its base.
	counted     map[string]int
	countedBase int
	moved       bool // rows of the group are not in the order in which they were counted
	steady      int  // counts in a row in which no row moved

	first      []Row // the page at position 0
	firstTotal int   // the total that came with it
	most       int   // rows of the largest page
	probing    bool  // whether the next page lies behind the only row, as far as known

	back    int // how far to step back at a gap
	asked   int // all pages
	reach   int // the position behind the furthest page
	further int // pages that ended behind all pages before them
	pages   int // that brought new rows
	idle    int // in a row that did not
	claimed int // the total that exceeds the list
	missing int // how often the list ended before the total
}

// maxRows bounds the memory that a list takes: a server that makes up rows for every
// position has no last page.
const maxRows = 10_000_000

// maxPage bounds the memory that an answer takes. A page has at most 1 000 rows, but some
// servers do not page.
const maxPage = 200_000

// CheckPage refuses an answer with more rows than a list can have in one piece. Call it
// before the rows are decoded.
func CheckPage(rows int) error {
	if rows > maxPage {
		return fmt.Errorf("the answer has %d rows, more than %d; ask for less, for example a shorter period", rows, maxPage)
	}
	return nil
}

// New returns a walk in pages of size rows, at least [MinSize].
func New(size int) *Walk {
	size = max(size, MinSize)
	return &Walk{size: size, limit: maxRows, back: size, frontier: lowest, seen: map[string]struct{}{}}
}

// Start is the position of the page to ask for next.
func (w *Walk) Start() int { return w.start }

// Size is how many rows to ask for.
func (w *Walk) Size() int { return w.size }

// Done reports whether the list has been read to its end.
func (w *Walk) Done() bool { return w.done }

// Excess is the total by which a list that has been read to its end should have more rows;
// 0 if it should not. It is only set for a walk that is Filtered.
func (w *Walk) Excess() int {
	if !w.done {
		return 0
	}
	return w.claimed
}

// Seen is how many rows the list has had so far.
func (w *Walk) Seen() int { return len(w.seen) }

// Take enters the page at Start and returns the indexes of its new rows. total is how
// many rows the list has according to the answer, or [Unknown].
func (w *Walk) Take(rows []Row, total int) []int {
	w.most = max(w.most, len(rows))
	w.asked++
	if end := w.start + len(rows); end > w.reach {
		w.reach = end
		w.further++
	}
	keys := w.keysOf(rows)
	if w.start == 0 {
		w.first, w.firstTotal = slices.Clone(rows), total
	}
	switch {
	case w.start > 0 && len(rows) > 0 && len(rows) == total && total != w.size && slices.Equal(rows, w.first):
		w.done = true // the server does not page: it gives all that there is, whatever is asked for
		return nil
	case w.probing:
		w.probing = false
		w.idle++
		if len(rows) == 0 {
			w.finish(w.start, total)
		} else {
			w.start, w.inside = w.start-1, true
		}
		return nil
	case len(rows) == 0 && w.start == 0:
		w.idle++
		w.finish(0, total)
		return nil
	case !w.joins(rows, keys):
		w.stepBack()
		w.idle++
		return nil
	}
	w.back = w.size
	return w.take(rows, keys, total)
}

// keysOf returns the keys of rows. One without a key, or with a smaller one than the row
// before it, makes the list one of a single key.
func (w *Walk) keysOf(rows []Row) []int64 {
	keys := make([]int64, len(rows))
	at := int64(lowest)
	for i, r := range rows {
		if !w.keyless && (r.Key == NoKey || r.Key < at) {
			w.keyless, w.inside = true, true
			w.frontier, w.base, w.counted, w.steady = lowest, 0, nil, 0
			w.group = make(map[string]int, len(w.seen))
			for id := range w.seen {
				w.group[id] = 0
			}
			return w.keysOf(rows)
		}
		if !w.keyless {
			at = r.Key
		}
		keys[i] = at
	}
	return keys
}

// joins reports whether there is no gap between the page and what was seen before it.
func (w *Walk) joins(rows []Row, keys []int64) bool {
	switch {
	case w.start == 0:
		return true
	case len(rows) == 0 || !w.has(rows[0].ID):
		return false
	default:
		return keys[0] < w.frontier || w.inside && keys[0] == w.frontier
	}
}

func (w *Walk) stepBack() {
	w.start = max(0, w.start-w.back)
	w.back *= 2
}

// take enters a page that joins.
func (w *Walk) take(rows []Row, keys []int64, total int) []int {
	n := len(rows)
	if !w.inside {
		fresh := w.enter(rows, 0, n)
		w.settle(fresh)
		w.anchor(rows, keys, fresh, total)
		return fresh
	}
	first := index(keys, w.frontier)
	if w.start == 0 || first > 0 {
		w.base = w.start + first
	}
	cut := index(keys, w.frontier+1)
	fresh := w.enter(rows, 0, cut)
	w.count(rows, first, cut)
	ends := w.ends(n, fresh)
	whole := w.whole && n == 1
	w.whole = false
	switch {
	case whole:
		w.finish(w.start+n, total)
	case (cut < n || ends) && !w.complete(w.start+cut):
		w.settle(fresh)
		w.again()
	case cut < n:
		fresh = append(fresh, w.enter(rows, cut, n)...)
		w.settle(fresh)
		w.anchor(rows, keys, fresh, total)
	case ends:
		w.settle(fresh)
		w.end(n, total)
	default:
		w.settle(fresh)
		w.step(n)
	}
	return fresh
}

// index is that of the first key that is not below a bound, or the number of keys.
func index(keys []int64, bound int64) int {
	i, _ := slices.BinarySearch(keys, bound)
	return i
}

func (w *Walk) has(id string) bool {
	_, ok := w.seen[id]
	return ok
}

// enter returns the indexes of the new rows among rows[from:to].
func (w *Walk) enter(rows []Row, from, to int) []int {
	var fresh []int
	for i := from; i < to; i++ {
		if !w.has(rows[i].ID) {
			w.seen[rows[i].ID] = struct{}{}
			fresh = append(fresh, i)
		}
	}
	return fresh
}

// count adds rows[from:to] to the group of the frontier. A nameless row counts for its
// position.
func (w *Walk) count(rows []Row, from, to int) {
	last := -1
	for i := from; i < to; i++ {
		id := rows[i].ID
		if rows[i].Nameless {
			id += "@" + strconv.Itoa(w.start+i)
		}
		if _, ok := w.group[id]; !ok {
			w.group[id] = len(w.group)
		}
		if at, ok := w.counted[id]; ok {
			w.moved = w.moved || at < last
			last = at
		}
	}
}

// enough is how many counts in a row show that rows with the same key keep their order.
const enough = 3

// complete reports whether all rows of the frontier have been seen, if they end at a
// position. If the number of rows is right, it begins to count them once more.
func (w *Walk) complete(end int) bool {
	if len(w.group) < end-w.base {
		return false
	}
	if w.firstTotal == end && len(w.first) == end {
		return true // all were in one answer, according to that answer
	}
	if w.steady++; w.moved || w.counted == nil {
		w.steady = 0
	}
	if w.counted != nil && w.base == w.countedBase && sameRows(w.group, w.counted) || w.steady >= enough {
		return true
	}
	w.counted, w.countedBase, w.group, w.moved = w.group, w.base, make(map[string]int), false
	return false
}

func sameRows(a, b map[string]int) bool {
	for id := range a {
		if _, ok := b[id]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

// settle records whether a page brought something new.
func (w *Walk) settle(fresh []int) {
	if len(fresh) == 0 {
		w.idle++
		return
	}
	w.idle = 0
	w.pages++
}

// ends reports whether a page with n rows is at the end of the list.
func (w *Walk) ends(n int, fresh []int) bool { return len(fresh) == 0 && n < w.most }

// anchor makes the last key of a page the frontier and chooses the next page.
func (w *Walk) anchor(rows []Row, keys []int64, fresh []int, total int) {
	n := len(rows)
	key := keys[n-1]
	tail := index(keys, key)
	ends := w.ends(n, fresh)
	if tail == 0 && w.start > 0 && !ends {
		w.stepBack() // nothing before the rows of this key is in sight
		return
	}
	if key != w.frontier || w.group == nil {
		w.group, w.counted, w.steady = make(map[string]int), nil, 0
	}
	w.count(rows, tail, n)
	w.frontier, w.base, w.inside = key, w.start+tail, false
	switch {
	case ends:
		w.whole = true
		w.end(n, total)
	case tail > 1:
		w.start += tail - 1
	default:
		w.inside = true
		w.step(n)
	}
}

// step goes to the last row of a page with n rows.
func (w *Walk) step(n int) {
	switch {
	case n > 1:
		w.start += n - 1
	case w.start == 0:
		// A single row: all there is, or all that the server gives at once.
		w.probing, w.start = true, 1
	}
}

// again reads the rows of the frontier once more.
func (w *Walk) again() {
	w.start, w.inside = max(0, w.base-1), false
}

// end is called where nothing seems to follow a page with n rows. One that holds more than
// the row seen last may merely have been cut short, unless a total confirms the end.
func (w *Walk) end(n, total int) {
	if end := w.start + n; n > 1 && total != end {
		w.step(n)
		w.inside = true
	} else {
		w.finish(end, total)
	}
}

func (w *Walk) finish(end, total int) {
	w.claimed = 0
	if total > end {
		w.claimed = total
	}
	if w.claimed == 0 || w.Filtered {
		w.done = true
		return
	}
	w.missing++
	w.again()
}

// maxMissing is how often a list may end before its total before that is an error. The
// total and the end are of one answer, so once is enough for a server that is consistent.
const maxMissing = 2

// Err reports that the walk gets nowhere. Stepping back and reading pages again is
// bounded by ten times the number of pages, which shuffled ties may need. A server that
// gives the same row another id in each answer brings something new forever, so all pages
// are bounded too, by those that went further along the list.
func (w *Walk) Err() error {
	switch {
	case len(w.seen) > w.limit:
		return fmt.Errorf("the list has more than %d rows, which cannot be right; "+
			"ask for less, for example a shorter period", w.limit)
	case w.missing > maxMissing:
		return fmt.Errorf("the list is not complete: the server says that it has %d rows, and shows %d of them; "+
			"ask for less, for example a shorter period", w.claimed, len(w.seen))
	case w.asked > 50+30*w.further:
		return fmt.Errorf("the list does not hold still: %d pages were read to go through %d rows; "+
			"try when less changes, or ask for less (a server that gives a row another id each time looks the same)",
			w.asked, w.reach)
	case w.idle > 20+10*w.pages:
		return fmt.Errorf("the list does not hold still: the last %d pages brought nothing new; "+
			"try when less changes, or ask for less (a server that ignores which page is asked for, "+
			"or orders equal rows differently each time, looks the same)", w.idle)
	default:
		return nil
	}
}
