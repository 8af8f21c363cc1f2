package paging

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Unknown is the total of a list whose answers have none.
const Unknown = -1

// MinSize is the smallest page size, because pages overlap by one row.
const MinSize = 2

// NoKey is the key of a row with an unknown place in the order.
const NoKey = math.MinInt64

// lowest is the key of all rows of a list without keys.
const lowest = NoKey + 1

// Row identifies a row and its place in the order.
type Row struct {
	ID string
	// Key is the sort key. It does not decrease along the list; rows with equal keys may be
	// in any order. See [TimeKey].
	Key int64
	// Nameless is whether the ID was derived from the content, so that other rows may have
	// the same.
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

// Walk reads a list in pages by position. Meanwhile rows may appear and leave, and rows
// with equal keys may change their order.
//
// The walk returns every row that is in the list from the first answer to the last, or an
// error. This relies on rows with different keys keeping their order. The frontier is the
// key of the last row taken: all staying rows with smaller keys have been seen.
//
//   - A page begins with the last row before the frontier. If its first row was seen before
//     and has a key below the frontier, the page contains all rows from the frontier up to
//     its own last key, so that key is the new frontier. Otherwise rows before it have left
//     and there may be a gap: the page is discarded and the walk steps back.
//   - If the rows of one key do not fit into a page, their pages overlap by one row, which
//     must have been seen before. When the rows of the key end, the positions they occupy
//     are counted. Fewer distinct rows than positions mean that a row was missed, and these
//     pages are read again. A row that left may hide a missed one, so the rows are counted a
//     second time. If both counts find the same rows, none is missing.
//   - The second count is not needed if the rows kept their order in three counts in a row:
//     then a row that leaves is noticed by the overlap. Otherwise a long list that keeps
//     losing rows could not be read.
//   - If a row has no key, or the keys decrease, all rows count as having the same key.
//
// The list ends with a page that has nothing new and fewer rows than another page, or whose
// rows reach the total. A total alone does not end a list, unless the walk knows how many rows
// the server puts into a page, see Full. A total larger than the list is an error, unless the
// walk is Filtered.
//
// A row may be missed in two cases that look exactly like a shorter list: rows with equal
// keys change their order in each answer, one of them leaves, and pages differ in size, so
// that the last one seems to be the end; or such rows change their order while as many rows
// before them leave as appear.
type Walk struct {
	// Filtered is whether the server was asked for a part of the rows only. It may count all
	// rows in the total, so a larger total proves nothing: see Excess.
	Filtered bool
	// Full is a number of rows that the server is known to put into a page of this size; 0 if
	// that is unknown. A page with fewer rows was not cut, so if it also reaches the total, the
	// list ends with it, and no further page has to prove that.
	Full int

	size  int // rows to ask for
	limit int // maximum rows of a list
	start int // position of the next page
	done  bool

	seen     map[string]struct{}
	keyless  bool
	frontier frontier
	inside   bool // the next page begins with a row of the frontier
	whole    bool // one answer had the frontier, the row before it, and the end of the list

	first      []Row // the page at position 0
	firstTotal int   // its total
	most       int   // rows of the largest page
	probing    bool  // the next page is after the only known row

	back    int // how far to step back at a gap
	claimed int // the total that exceeds the list
	missing int // how often the list ended before the total
	answers answers
}

// frontier is the key of the last row that was taken, with the rows that have it. They are counted until it is known
// that none is missing.
type frontier struct {
	key  int64
	base int            // the position of the first row
	rows map[string]int // row → how many were counted before it

	counted     map[string]int // the rows of the previous count
	countedBase int            // its base
	moved       bool           // rows changed their order since the previous count
	steady      int            // counts in a row without a change of order
}

// answers counts the answers, to notice a server that does not page as it should.
type answers struct {
	all     int
	reach   int // the position after the furthest page
	further int // pages that ended after all pages before them
	pages   int // pages with new rows
	idle    int // pages in a row without new rows

	last      []Row // the page before
	lastStart int   // its position
	repeated  int   // pages in a row with the rows of the page before, at another position
	vanished  int   // pages without rows, where there were rows before, since the last new row
	lone      int   // pages with one row, behind another page with one row
}

// maxRows limits the memory of a list: a faulty server may have rows at every position.
const maxRows = 10_000_000

// maxPage limits the memory of an answer. A page has at most 1 000 rows, but some servers
// ignore the page size.
const maxPage = 200_000

// CheckPage returns an error for an answer with too many rows. Call it before the rows are
// decoded.
func CheckPage(rows int) error {
	if rows > maxPage {
		return fmt.Errorf("the answer has %d rows, more than %d; ask for less, for example a shorter period", rows, maxPage)
	}
	return nil
}

// New returns a walk in pages of size rows, at least [MinSize].
func New(size int) *Walk {
	size = max(size, MinSize)
	return &Walk{size: size, limit: maxRows, back: size, frontier: frontier{key: lowest}, seen: map[string]struct{}{}}
}

// Start returns the position of the next page.
func (w *Walk) Start() int { return w.start }

// Size returns the number of rows to ask for.
func (w *Walk) Size() int { return w.size }

// Done reports whether the list has been read to its end.
func (w *Walk) Done() bool { return w.done }

// Excess returns the total of a Filtered list that ended with fewer rows; 0 if it did not.
func (w *Walk) Excess() int {
	if !w.done {
		return 0
	}
	return w.claimed
}

// Seen returns the number of distinct rows so far.
func (w *Walk) Seen() int { return len(w.seen) }

// Take adds the page at Start and returns the indexes of its new rows. total is the total
// of the list in the answer, or [Unknown].
func (w *Walk) Take(rows []Row, total int) []int {
	w.most = max(w.most, len(rows))
	w.answers.add(rows, w.start, w.probing)
	keys := w.keysOf(rows)
	if w.start == 0 {
		w.first, w.firstTotal = slices.Clone(rows), total
	}
	switch {
	case w.start > 0 && len(rows) > 0 && len(rows) == total && total != w.size && slices.Equal(rows, w.first):
		w.done = true // the server ignores the position and always returns all rows
		return nil
	case w.probing:
		w.probing = false
		w.answers.idle++
		if len(rows) == 0 {
			w.finish(w.start, total)
		} else {
			w.start, w.inside = w.start-1, true
		}
		return nil
	case len(rows) == 0 && w.start == 0:
		w.answers.idle++
		w.finish(0, total)
		return nil
	case !w.joins(rows, keys):
		w.stepBack()
		w.answers.idle++
		return nil
	}
	w.back = w.size
	return w.take(rows, keys, total)
}

// add counts a page at a position. probing is as in Walk.
func (a *answers) add(rows []Row, start int, probing bool) {
	a.all++
	switch {
	case start == a.lastStart:
	case len(rows) > 0 && slices.Equal(rows, a.last):
		a.repeated++
	default:
		a.repeated = 0
	}
	if len(rows) == 0 && start < a.reach {
		a.vanished++
	}
	if probing && len(rows) == 1 && a.repeated == 0 {
		a.lone++
	}
	a.last, a.lastStart = slices.Clone(rows), start
	if end := start + len(rows); end > a.reach {
		a.reach = end
		a.further++
	}
}

// keysOf returns the keys of rows. A missing or decreasing key makes the list keyless.
func (w *Walk) keysOf(rows []Row) []int64 {
	keys := make([]int64, len(rows))
	at := int64(lowest)
	for i, r := range rows {
		if !w.keyless && (r.Key == NoKey || r.Key < at) {
			w.keyless, w.inside = true, true
			w.frontier = frontier{key: lowest, rows: make(map[string]int, len(w.seen)), moved: w.frontier.moved}
			for id := range w.seen {
				w.frontier.rows[id] = 0
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
		return keys[0] < w.frontier.key || w.inside && keys[0] == w.frontier.key
	}
}

func (w *Walk) stepBack() {
	w.start = max(0, w.start-w.back)
	w.back *= 2
}

// take adds a page that joins.
func (w *Walk) take(rows []Row, keys []int64, total int) []int {
	n := len(rows)
	if !w.inside {
		fresh := w.enter(rows, 0, n)
		w.answers.settle(fresh)
		w.anchor(rows, keys, fresh, total)
		return fresh
	}
	first := index(keys, w.frontier.key)
	if w.start == 0 || first > 0 {
		w.frontier.base = w.start + first
	}
	cut := index(keys, w.frontier.key+1)
	fresh := w.enter(rows, 0, cut)
	w.frontier.count(rows, first, cut, w.start)
	ends := w.ends(n, fresh, total)
	whole := w.whole && n == 1
	end := w.start + cut
	w.whole = false
	switch {
	case whole:
		w.finish(w.start+n, total)
	case (cut < n || ends) && !w.frontier.complete(end, w.firstTotal == end && len(w.first) == end):
		w.answers.settle(fresh)
		w.again()
	case cut < n:
		fresh = append(fresh, w.enter(rows, cut, n)...)
		w.answers.settle(fresh)
		w.anchor(rows, keys, fresh, total)
	case ends:
		w.answers.settle(fresh)
		w.end(n, total)
	default:
		w.answers.settle(fresh)
		w.step(n)
	}
	return fresh
}

// index returns the index of the first key that is not below a bound, or len(keys).
func index(keys []int64, bound int64) int {
	i, _ := slices.BinarySearch(keys, bound)
	return i
}

func (w *Walk) has(id string) bool {
	_, ok := w.seen[id]
	return ok
}

// enter marks rows[from:to] as seen and returns the indexes of the new ones.
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

// count adds rows[from:to] of the page at start. Nameless rows are distinguished by their position.
func (f *frontier) count(rows []Row, from, to, start int) {
	last := -1
	for i := from; i < to; i++ {
		id := rows[i].ID
		if rows[i].Nameless {
			id += "@" + strconv.Itoa(start+i)
		}
		if _, ok := f.rows[id]; !ok {
			f.rows[id] = len(f.rows)
		}
		if at, ok := f.counted[id]; ok {
			f.moved = f.moved || at < last
			last = at
		}
	}
}

// enough is the number of counts in a row without a change after which rows with equal keys
// are taken to keep their order.
const enough = 3

// complete reports whether all rows have been seen, given the position of their end. If the number of rows is right
// for the first time, it starts a second count, unless all were in one answer, according to that answer.
func (f *frontier) complete(end int, inOne bool) bool {
	if len(f.rows) < end-f.base {
		return false
	}
	if inOne {
		return true
	}
	if f.steady++; f.moved || f.counted == nil {
		f.steady = 0
	}
	if f.counted != nil && f.base == f.countedBase && sameRows(f.rows, f.counted) || f.steady >= enough {
		return true
	}
	f.counted, f.countedBase, f.rows, f.moved = f.rows, f.base, make(map[string]int), false
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

// settle records whether a page had new rows.
func (a *answers) settle(fresh []int) {
	if len(fresh) == 0 {
		a.idle++
		return
	}
	a.idle, a.vanished = 0, 0
	a.pages++
}

// ends reports whether a page with n rows is at the end of the list.
func (w *Walk) ends(n int, fresh []int, total int) bool {
	return len(fresh) == 0 && n < w.most || n < w.Full && w.start+n == total && len(w.seen) >= total
}

// anchor makes the last key of a page the frontier and chooses the next page.
func (w *Walk) anchor(rows []Row, keys []int64, fresh []int, total int) {
	n := len(rows)
	key := keys[n-1]
	tail := index(keys, key)
	ends := w.ends(n, fresh, total)
	if tail == 0 && w.start > 0 && !ends {
		w.stepBack() // the page has no row before those of its last key
		return
	}
	if key != w.frontier.key || w.frontier.rows == nil {
		w.frontier = frontier{key: key, rows: make(map[string]int), moved: w.frontier.moved}
	}
	w.frontier.count(rows, tail, n, w.start)
	w.frontier.base, w.inside = w.start+tail, false
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
		// A single row: the whole list, or the page size of the server.
		w.probing, w.start = true, 1
	}
}

// again reads the rows of the frontier once more.
func (w *Walk) again() {
	w.start, w.inside = max(0, w.frontier.base-1), false
}

// end handles a page with n rows that seems to be the last one. A page with more than the
// row seen last may just be short, unless the total confirms the end.
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

// maxMissing is how often a list may end before its total. Total and end are of the same
// answer, so a consistent server needs no repetition.
const maxMissing = 2

// mostOdd is how often a server may answer as if it did not page. Rows that appear or leave look the
// same, but not that often.
const mostOdd = 5

// Err returns an error if the walk makes no progress.
func (w *Walk) Err() error {
	switch {
	case len(w.seen) > w.limit:
		return fmt.Errorf("the list has more than %d rows, which cannot be right; "+
			"ask for less, for example a shorter period", w.limit)
	case w.missing > maxMissing:
		return fmt.Errorf("the list is incomplete: the server reports %d rows and returns %d; "+
			"ask for less, for example a shorter period", w.claimed, len(w.seen))
	default:
		return w.answers.err()
	}
}

// err returns an error if the server does not page as it should. Pages without new rows are limited to
// ten times the number of the others, which rows in random order may need. A server may
// change IDs in each answer, so all pages are limited too, by those that reached further.
func (a *answers) err() error {
	switch {
	case a.repeated > mostOdd:
		return errors.New("the list cannot be read: the server returns the same rows for different positions, " +
			"which it seems to ignore or to round")
	case a.lone > mostOdd:
		return errors.New("the list cannot be read: the server returns one row per page, so that rows which move " +
			"while it is read could be missed; let it return at least two")
	case a.vanished > mostOdd:
		return fmt.Errorf("the list cannot be read: the server returned %d rows, and then none from position %d on; "+
			"it seems to count pages instead of rows", a.reach, a.lastStart)
	case a.all > 50+30*a.further:
		return fmt.Errorf("the list keeps changing: %d pages were read for %d rows; "+
			"try again when fewer rows change, or ask for less (a server that changes the ids of rows causes this too)",
			a.all, a.reach)
	case a.idle > 20+10*a.pages:
		return fmt.Errorf("the list keeps changing: the last %d pages had no new row; "+
			"try again when fewer rows change, or ask for less (a server that rounds the position, counts pages "+
			"instead of rows, or reorders equal rows, causes this too)", a.idle)
	default:
		return nil
	}
}
