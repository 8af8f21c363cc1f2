package paging

import "fmt"

// Unknown is the total of a list whose answers do not tell it.
const Unknown = -1

// MinSize is the smallest page with which a walk gets on, since pages overlap.
const MinSize = 2

// Walk goes through a list in pages while rows come and go. It knows positions
// only, so it lets each page begin with the last row of the page before.
//
// Why nothing is missed: rows that stay keep their order. Suppose that all that
// stay up to row X have been seen. A page that begins with a row seen before,
// whichever, goes on from there without a gap, so all that stay up to its end are
// seen then. A page that begins with an unseen row, or is empty, may hide a gap,
// because rows before it have left: it is thrown away and the walk steps back
// until a page begins with a seen row, or is the first. The list ends where a
// page holds nothing after its first, seen row, or has new rows up to the total.
type Walk struct {
	size  int // rows to ask for
	start int // position of the page to ask for next
	done  bool

	seen    map[string]struct{}
	back    int  // how far to step back when there is a gap
	probing bool // whether anything follows a first page of a single row
	pages   int  // that brought new rows
	idle    int  // in a row that did not
}

// New begins a walk in pages of a size, at least [MinSize].
func New(size int) *Walk {
	size = max(size, MinSize)
	return &Walk{size: size, back: size, seen: map[string]struct{}{}}
}

// Start is the position of the page to ask for next.
func (w *Walk) Start() int { return w.start }

// Size is how many rows to ask for.
func (w *Walk) Size() int { return w.size }

// Done reports whether the list has been walked to its end.
func (w *Walk) Done() bool { return w.done }

// Take enters the page at Start by the ids of its rows, however many, and returns
// which of them are new. total is how many rows the list has as the answer
// tells; where that is not to be relied upon, [Unknown] costs one more page.
func (w *Walk) Take(ids []string, total int) []int {
	switch {
	case w.probing:
		w.probing, w.done = false, len(ids) == 0
		w.start = 0
		w.idle++
		return nil
	case len(ids) == 0 && w.start == 0:
		w.done = true
		return nil
	case w.start > 0 && (len(ids) == 0 || !w.has(ids[0])):
		w.start = max(0, w.start-w.back)
		w.back *= 2
		w.idle++
		return nil
	}
	w.back = w.size
	fresh := w.fresh(ids)
	// A page without new rows proves nothing: a server may send the same one for
	// every position.
	w.advance(len(ids), len(fresh) > 0 && w.start+len(ids) == total)
	return fresh
}

func (w *Walk) has(id string) bool {
	_, ok := w.seen[id]
	return ok
}

func (w *Walk) fresh(ids []string) []int {
	var fresh []int
	for i, id := range ids {
		if !w.has(id) {
			w.seen[id] = struct{}{}
			fresh = append(fresh, i)
		}
	}
	if fresh == nil {
		w.idle++
	} else {
		w.idle = 0
		w.pages++
	}
	return fresh
}

func (w *Walk) advance(rows int, last bool) {
	switch {
	case last:
		w.done = true
	case rows > 1:
		w.start += rows - 1
	case w.start > 0:
		w.done = true
	default:
		// A single row, all there is or all that the server gives at once.
		w.probing = true
		w.start = 1
	}
}

// Err says that the walk gets nowhere. Stepping back and walking over the same
// rows again is bounded by twice the pages that there are.
func (w *Walk) Err() error {
	if w.idle <= 20+2*w.pages {
		return nil
	}
	return fmt.Errorf("the list does not hold still: the last %d pages brought nothing new; "+
		"try when less changes, or ask for less (a server that ignores which page is asked for looks the same)", w.idle)
}
