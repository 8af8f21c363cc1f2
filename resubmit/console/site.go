package console

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// site is what all pages share.
type site struct {
	cfg       Config
	dir       *state.Dir
	system    string // the installation
	plans     *plans
	tasks     *tasks
	templates map[string]*template.Template
	documents documents
	reports   chan struct{} // has an element for each report that is being made for a download

	mu    sync.Mutex
	scans map[string]bool // users whose search or report reads a whole plan
}

func newSite(cfg Config, templates map[string]*template.Template) *site {
	return &site{
		cfg: cfg, dir: cfg.State, system: cfg.State.Config().Systems.Name, plans: new(plans), tasks: newTasks(),
		templates: templates, scans: make(map[string]bool), reports: make(chan struct{}, maxReports),
	}
}

// head is what all pages show.
type head struct {
	Title   string
	Page    string // of the navigation
	System  string
	User    string
	Roles   string
	Zone    string
	State   string // one sentence
	Next    link   // the next step
	Task    *task  // that is running; nil if none is
	Problem *problem
	Token   string // of the session
	Events  string // the address of the live updates; "" for none
	Now     time.Time
	Body    any
}

// link is a link to a page.
type link struct{ Text, Href string }

var overviewLink = link{"Look at the failed orders", "./"}

// show renders a page, with the problem of an attempt to do something; nil if nothing failed. A failure that is no
// problem of the user is returned.
func (v *visit) show(name string, h head, failed error) error {
	status := http.StatusOK
	if failed != nil {
		if h.Problem = problemOf(failed); h.Problem == nil {
			return failed
		}
		status = h.Problem.status
	}
	if err := v.complete(&h); err != nil {
		return err
	}
	var page bytes.Buffer
	if err := v.site.templates[name].ExecuteTemplate(&page, "layout", h); err != nil {
		return fmt.Errorf("console: page %s: %w", name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = page.WriteTo(v.w) // an error means that the browser is gone
	return nil
}

// complete sets what all pages show.
func (v *visit) complete(h *head) error {
	s := v.site
	status, err := s.dir.Status()
	if err != nil {
		return err
	}
	h.Now = time.Now()
	h.System, h.User, h.Token = s.system, v.user, v.token
	h.Roles = "may view"
	for _, role := range Roles()[1:] {
		if v.denied(role, string(role), nil) == "" {
			h.Roles += ", " + string(role)
		}
	}
	h.Zone, _ = h.Now.In(s.cfg.Location).Zone()
	if k := s.tasks.newest(); k != nil && !k.Done() {
		h.Task = k
	}
	h.State, h.Next = s.sentence(&status, h.Task)
	if page, _, _ := strings.Cut(h.Next.Href, "?"); page == h.Page || h.Page == "overview" && h.Next == overviewLink {
		h.Next = link{} // the page itself
	}
	return nil
}

// sentence says in one sentence what happens, and returns the next step.
func (s *site) sentence(status *state.Status, k *task) (string, link) {
	run := status.Run
	switch {
	case k != nil && k.Name != applying:
		return cmp.Or(k.Progress(), k.Name+"."), link{"Show the progress", query("task", "id", k.ID)}
	case run == nil:
		return "There is no plan and no run yet.", overviewLink
	}
	name, n := runName(run), run.Counts.Resubmit
	switch {
	case run.Ended() && run.StartedAt.IsZero():
		return fmt.Sprintf("Plan %s ended without being applied: %s.", name, endWords(run)),
			overviewLink
	case run.Ended():
		return fmt.Sprintf("Run %s ended: %s of %s verified.", name, count(s.resultOf(run).Completed), plural(n, "order")),
			link{"Show the result", query("run", "run", run.ID)}
	case run.StartedAt.IsZero() && s.approver(run) != "":
		return fmt.Sprintf("Plan %s is approved, and was not begun yet: %s to resubmit.", name, plural(n, "order")),
			link{"Show the run", query("run", "run", run.ID)}
	case run.StartedAt.IsZero():
		return fmt.Sprintf("Plan %s would resubmit %s: %s.", name, plural(n, "order"), s.beforeApproval(run)),
			link{"Review the plan", query("plan", "run", run.ID)}
	case run.Paused != nil:
		return fmt.Sprintf("Run %s is paused by %s. Nothing is sent.", name, shown(run.Paused.By)),
			link{"Show the run", query("run", "run", run.ID)}
	case run.Live == nil || !status.Busy:
		return fmt.Sprintf("Run %s is not finished, and no process works on it.", name),
			link{"Continue it", query("run", "run", run.ID)}
	case run.Live.Gate != "":
		return fmt.Sprintf("Run %s: %s of %s done. It sends nothing now: %s.", name, count(run.Live.Done),
			plural(n, "order"), shown(run.Live.Gate)), link{"Show the run", query("run", "run", run.ID)}
	default:
		return fmt.Sprintf("Run %s is sending: %s of %s done.", name, count(run.Live.Done), plural(n, "order")),
			link{"Show the run", query("run", "run", run.ID)}
	}
}

// run returns the run that a request names by its id or digest, or else the newest one.
func (v *visit) run() (*state.Run, error) {
	name := cmp.Or(v.field("run"), v.field("plan"))
	runs, err := v.site.dir.Runs()
	if err != nil {
		return nil, err
	}
	for i := len(runs) - 1; i >= 0; i-- {
		if run := &runs[i]; name == "" || run.ID == name || run.Digest == name {
			return run, nil
		}
	}
	if name == "" {
		return nil, notFound("there is no plan and no run yet; make a plan on the page Overview")
	}
	return nil, notFound("there is no run %s in this directory; the page History has all runs", text.Short(name))
}

// shownRun returns the run whose digest a field of the form has: the one that the user saw, whatever else names a run.
// The user must be allowed to do the action to it.
func (v *visit) shownRun(field, action string) (*state.Run, error) {
	digest := v.field(field)
	if digest == "" {
		return nil, badRequest("the digest of the plan is missing; open the plan or its run and repeat the action there")
	}
	run, err := v.run()
	if err != nil {
		return nil, err
	}
	if run.Digest != digest {
		return nil, conflict("The form was shown for another plan. Open the plan or its run again. Nothing was done.")
	}
	if why := v.denied(v.role, action, run); why != "" {
		return nil, forbidden(errors.New(why))
	}
	return run, nil
}

// open opens the plan of a run.
func (s *site) open(run *state.Run) (*shared, func(), error) {
	return s.plans.use(s.dir.Path(run, planFile), run.Digest)
}

// Files of a run, see package state.
const (
	planFile      = "plan.jsonl"
	signatureFile = "plan.jsonl.sig"
	auditFile     = "audit.jsonl"
	reportFile    = "report.json"
)

var errScanning = &problem{
	status: http.StatusTooManyRequests, text: "another search or report of yours is not finished; wait for it",
}

// approver returns who signed the plan of a run; "" if nobody did.
func (s *site) approver(run *state.Run) string {
	f, err := os.Open(s.dir.Path(run, signatureFile))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	signature, err := plan.ReadSignature(f)
	if err != nil {
		return ""
	}
	return text.Short(signature.Signer)
}

// search returns the orders of a selection. A user may have one search at a time that reads a whole plan.
func (v *visit) search(p *shared, sel selection) (bitmap, error) {
	if sel.query != "" {
		if !v.site.beginScan(v.user) {
			return nil, errScanning
		}
		defer v.site.endScan(v.user)
	}
	return p.search(sel)
}

func (s *site) beginScan(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scans[user] {
		return false
	}
	s.scans[user] = true
	return true
}

func (s *site) endScan(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.scans, user)
}
