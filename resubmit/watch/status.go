package watch

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Phase is what a [Watcher] is doing.
type Phase string

// The phases.
const (
	PhaseStopped          Phase = "stopped"           // Run is not running
	PhaseNoCalendar       Phase = "no calendar"       // waits for the first answer of Config.Windows
	PhaseIdle             Phase = "idle"              // waits for the next maintenance
	PhaseMaintenance      Phase = "maintenance"       // waits for its end
	PhaseSettling         Phase = "settling"          // waits for Commerce to update pending orders
	PhaseNotReady         Phase = "not ready"         // waits for Connect
	PhasePlanning         Phase = "planning"          // writes a plan
	PhaseAwaitingApproval Phase = "awaiting approval" // waits for a decision about the plan
	PhaseApplying         Phase = "applying"          // resubmits orders
	PhaseError            Phase = "error"             // waits to retry a failed step
)

// phaseMessages are the log messages of the phases.
var phaseMessages = map[Phase]string{
	PhaseStopped: "watcher stopped", PhaseIdle: "waiting for the next maintenance",
	PhaseMaintenance: "maintenance in progress", PhaseSettling: "maintenance ended", PhaseNotReady: "Connect is not ready",
	PhasePlanning: "planning", PhaseAwaitingApproval: "waiting for approval", PhaseApplying: "resubmitting orders",
	PhaseError: "step failed, will retry",
}

// Status is what a [Watcher] is doing at an instant.
type Status struct {
	Phase Phase
	// Text describes it in a sentence.
	Text string
	// Since is when the phase began. Until is when it is expected to end; zero if that is
	// not known.
	Since time.Time
	Until time.Time
	// Episode is the episode that is handled; nil if there is none.
	Episode *Episode
	// Run is the progress of the resubmission, in [PhaseApplying].
	Run resubmit.Status
	// Err is the latest failure, in [PhaseError].
	Err error
}

// String returns the status in sentences on one line.
func (s Status) String() string {
	line := s.Text
	if s.Phase == PhaseApplying && s.Run.Total > 0 {
		line += fmt.Sprintf(" %d of %d are done.", s.Run.Done, s.Run.Total)
	}
	if s.Run.Gate != "" {
		line += " Pushes are paused: " + s.Run.Gate + "."
	}
	if !s.Until.IsZero() && s.Phase != PhaseIdle && s.Phase != PhaseMaintenance && s.Phase != PhaseSettling {
		line += " The next check is at " + momentText(s.Until) + "."
	}
	return text.OneLine(line)
}

// Status returns what the watcher is doing.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	s, runner := w.status, w.runner
	w.mu.Unlock()
	if s.Episode != nil {
		s.Episode = new(s.Episode.clone())
	}
	if runner != nil {
		s.Run = runner.Status()
	}
	return s
}

// Episodes returns the episodes that were planned or have expired, oldest plan first. An
// episode is kept for 400 days after it was closed.
func (w *Watcher) Episodes() []Episode {
	w.mu.Lock()
	defer w.mu.Unlock()
	episodes := make([]Episode, 0, len(w.state.Episodes))
	for _, e := range w.state.Episodes {
		episodes = append(episodes, e.clone())
	}
	return episodes
}

// update is a change of the status.
type update struct {
	phase   Phase
	level   slog.Level
	text    string
	key     string // two updates with the same key are logged once; default: the text
	episode Episode
	until   time.Time
	err     error
	silent  bool // not logged
}

// setStatus sets the status, and logs it unless it was logged last.
func (w *Watcher) setStatus(u update) {
	u.text = text.Sentence(u.text)
	// Without the episode's ID, which may change until there is a plan.
	key := string(u.phase) + " " + cmp.Or(u.key, u.text)
	// A retry of a failed step is not logged again.
	retry := w.failures > 0 &&
		slices.Contains([]Phase{PhasePlanning, PhaseAwaitingApproval, PhaseApplying}, u.phase)
	w.mu.Lock()
	since := time.Now()
	if w.status.Phase == u.phase {
		since = w.status.Since
	}
	w.status = Status{Phase: u.phase, Text: u.text, Since: since, Until: u.until, Err: u.err}
	if len(u.episode.Windows) > 0 {
		w.status.Episode = &u.episode
	}
	isNew := w.logged != key && !retry && !u.silent
	if isNew {
		w.logged = key
	}
	w.mu.Unlock()
	if !isNew {
		return
	}
	attrs := []any{"step", u.phase}
	if u.episode.ID != "" {
		attrs = append(attrs, "episode", u.episode.ID)
	}
	if !u.until.IsZero() {
		attrs = append(attrs, "until", u.until)
	}
	if u.err != nil {
		attrs = append(attrs, "error", u.err)
	}
	w.log(u.level, phaseMessages[u.phase], append(attrs, "detail", u.text)...)
}

// failed records a failure and returns the pause before the retry.
func (w *Watcher) failed(err error) time.Duration {
	pause := backoff(w.failures)
	w.failures++
	u := update{
		phase: PhaseError, level: slog.LevelWarn, until: time.Now().Add(pause), err: err, key: err.Error(),
		text: "A step failed and will be retried: " + text.Short(err.Error()) + ".",
	}
	u.episode, _ = w.state.open()
	w.setStatus(u)
	return pause
}

// backoff is the pause after n failures in a row.
func backoff(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), 10*time.Minute)
}

func (w *Watcher) logStart(now time.Time) {
	attrs := []any{"step", "start", "since", w.from(now), "resumed", w.saved}
	if e, ok := w.state.open(); ok {
		attrs = append(attrs, "episode", e.ID, "state", e.State)
	}
	w.log(slog.LevelInfo, "watcher started", attrs...)
}

// from is the time since which maintenance is handled.
func (w *Watcher) from(now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.From.IsZero() {
		w.state.From = now.Add(-w.cfg.MaxAge).Round(0).UTC()
	}
	return w.state.From
}

func (w *Watcher) setRunner(r *resubmit.Runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runner = r
}
