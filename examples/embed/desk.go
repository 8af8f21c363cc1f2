package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/cloudblue-go/cloudblue/examples/internal/web"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// desk decides about plans: small ones by itself, the others it shows to a person.
type desk struct {
	limit int    // orders that need nobody's word
	wake  func() // tells the watcher that there is an answer

	mu       sync.Mutex
	digest   string // of the plan that waits
	page     string
	approved string // the digest that somebody said yes to
}

// Approve is what the watcher asks. It answers at once: a person takes longer.
func (d *desk) Approve(_ context.Context, e watch.Episode, plan *plan.Plan) (watch.Approval, error) {
	if plan.Counts().Resubmit <= d.limit {
		return watch.Approval{Decision: watch.Approved, Why: "few enough to need nobody's word"}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.approved == plan.Digest() {
		return watch.Approval{Decision: watch.Approved, Why: "somebody said so at /approve"}, nil
	}
	var page strings.Builder
	fmt.Fprintln(&page, text.OneLine(e.String())) // others wrote the titles, and might forge lines of the plan
	for entry, err := range plan.Entries() {
		if err != nil {
			return watch.Approval{}, err
		}
		line := fmt.Sprintf("%s: %s, %s: %s", entry.Number, entry.Attribution.Verdict, entry.Decision.Action,
			entry.Decision.Why)
		fmt.Fprintln(&page, text.OneLine(line))
	}
	d.digest, d.page = plan.Digest(), page.String()
	return watch.Approval{Why: "a person is asked at /plan"}, nil
}

// maxForm is the most bytes of the body of POST /approve.
const maxForm = 4 << 10

// routes are for the person: GET /plan, and POST /approve?plan=<digest>, so that
// nobody approves another plan than the one that was looked at. The plan is plain text,
// since it shows what others wrote, such as the titles of a calendar, and the guard
// refuses what the pages of others send. A service also asks who approves.
func (d *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plan", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		digest, page := d.digest, d.page
		d.mu.Unlock()
		w.Header().Set("Plan", digest)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, page) // the person has gone
	})
	mux.HandleFunc("POST /approve", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		shown := r.FormValue("plan")
		d.mu.Lock()
		defer d.mu.Unlock()
		if shown == "" || shown != d.digest {
			http.Error(w, "this is not the plan that waits: look at /plan", http.StatusConflict)
			return
		}
		d.approved = d.digest
		d.wake()
	})
	return web.Guard(mux, web.Hosts{})
}
