package ordermanager

import (
	"fmt"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// walk goes through a list in pages while rows come and go. It knows positions
// only, so it lets each page begin with the last row of the page before.
//
// Why nothing is missed: rows that stay keep their order. Suppose that all that
// stay up to row X have been seen. A page that begins with a row seen before,
// whichever, goes on from there without a gap, so all that stay up to its end are
// seen then. A page that begins with an unseen row, or is empty, may hide a gap,
// because rows before it have left: it is thrown away and the walk steps back
// until a page begins with a seen row, or is the first. The list ends where a
// page holds nothing after its first, seen row.
type walk struct {
	size  int // rows to ask for
	start int // position of the page to ask for next
	done  bool

	seen    map[string]struct{}
	back    int  // how far to step back when there is a gap
	probing bool // whether anything follows a first page of a single row
	pages   int  // that brought new rows
	idle    int  // in a row that did not
}

func newWalk(size int) *walk {
	return &walk{size: size, back: size, seen: map[string]struct{}{}}
}

// take enters the page at start and returns its new rows. total is how many rows
// the answer says that there are, -1 when it does not.
func (w *walk) take(page []*commerce.Order, total int) []*commerce.Order {
	switch {
	case w.probing:
		w.probing, w.done = false, len(page) == 0
		w.start = 0
		w.idle++
		return nil
	case len(page) == 0 && w.start == 0:
		w.done = true
		return nil
	case w.start > 0 && (len(page) == 0 || !w.has(page[0])):
		w.start = max(0, w.start-w.back)
		w.back *= 2
		w.idle++
		return nil
	}
	w.back = w.size
	fresh := w.fresh(page)
	w.advance(len(page), total)
	return fresh
}

func (w *walk) has(o *commerce.Order) bool {
	_, ok := w.seen[o.ID]
	return ok
}

func (w *walk) fresh(page []*commerce.Order) []*commerce.Order {
	var fresh []*commerce.Order
	for _, o := range page {
		if !w.has(o) {
			w.seen[o.ID] = struct{}{}
			fresh = append(fresh, o)
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

func (w *walk) advance(rows, total int) {
	switch {
	case rows > w.size, total >= 0 && w.start+rows >= total:
		w.done = true // more than asked for is a server without pages: this was all
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

// restless says that the walk gets nowhere. Stepping back and walking over the
// same rows again is bounded by twice the pages that there are.
func (w *walk) restless() error {
	if w.idle <= 20+2*w.pages {
		return nil
	}
	return fmt.Errorf("the list does not hold still: the last %d pages brought no new order; "+
		"try when fewer orders change, or narrow the query (a server that ignores limit(start,count) looks the same)", w.idle)
}
