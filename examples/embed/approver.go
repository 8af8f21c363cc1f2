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

// approver shows plans to a person.
type approver struct {
	wake func() // makes the watcher ask again

	mu       sync.Mutex
	digest   string // of the plan to approve
	page     string
	approved string // the digest that a person approved
}

// Approve is called by the watcher. It does not wait for the person.
func (d *approver) Approve(_ context.Context, e watch.Episode, plan *plan.Plan) (watch.Approval, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.approved == plan.Digest() {
		return watch.Approval{State: watch.Approved, Why: "by a person at /approve"}, nil
	}
	var page strings.Builder
	fmt.Fprintln(&page, text.OneLine(e.String())) // titles of calendars must not add lines to the plan
	for entry, err := range plan.Entries() {
		if err != nil {
			return watch.Approval{}, err
		}
		line := fmt.Sprintf("%s: %s, %s: %s", entry.Number, entry.Attribution.Verdict, entry.Decision.Action,
			entry.Decision.Why)
		fmt.Fprintln(&page, text.OneLine(line))
	}
	d.digest, d.page = plan.Digest(), page.String()
	return watch.Approval{Why: "waiting for a person at /plan"}, nil
}

// maxForm limits the body of POST /approve, in bytes.
const maxForm = 4 << 10

// routes returns the handler for GET /plan and POST /approve?plan=DIGEST. The digest makes sure that the person
// approves the plan that was shown. The plan is plain text because it contains texts of others, such as the titles of
// a calendar. The guard rejects requests from pages of other origins. A real service would also authenticate the
// person.
func (d *approver) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plan", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		digest, page := d.digest, d.page
		d.mu.Unlock()
		w.Header().Set("Plan", digest)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, page) // an error means that the client is gone
	})
	mux.HandleFunc("POST /approve", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		shown := r.FormValue("plan")
		d.mu.Lock()
		defer d.mu.Unlock()
		if shown == "" || shown != d.digest {
			http.Error(w, "this is not the plan to approve: get it from /plan", http.StatusConflict)
			return
		}
		d.approved = d.digest
		d.wake()
	})
	return web.Guard(mux, web.Hosts{})
}
