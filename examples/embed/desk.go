package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/cloudblue-go/cloudblue/resubmit"
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
func (d *desk) Approve(_ context.Context, e resubmit.Episode, plan *resubmit.Plan) (resubmit.Approval, error) {
	if plan.Counts().Resubmit <= d.limit {
		return resubmit.Approval{Answer: resubmit.AnswerApply, Why: "few enough to need nobody's word"}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.approved == plan.Digest() {
		return resubmit.Approval{Answer: resubmit.AnswerApply, Why: "somebody said so at /approve"}, nil
	}
	var page strings.Builder
	fmt.Fprintln(&page, e)
	for entry, err := range plan.Entries() {
		if err != nil {
			return resubmit.Approval{}, err
		}
		fmt.Fprintf(&page, "%s: %s, %s: %s\n", entry.Number, entry.Attribution.Verdict, entry.Decision.Action, entry.Decision.Why)
	}
	d.digest, d.page = plan.Digest(), page.String()
	return resubmit.Approval{Why: "a person is asked at /plan"}, nil
}

// routes are for the person: GET /plan, and POST /approve?plan=<digest>, so that
// nobody approves another plan than the one that was looked at.
func (d *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plan", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		w.Header().Set("Plan", d.digest)
		_, _ = fmt.Fprint(w, d.page) // the person has gone
	})
	mux.HandleFunc("POST /approve", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if digest := r.FormValue("plan"); digest == "" || digest != d.digest {
			http.Error(w, "this is not the plan that waits: look at /plan", http.StatusConflict)
			return
		}
		d.approved = d.digest
		d.wake()
	})
	return mux
}
