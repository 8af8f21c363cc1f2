package watch

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
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
	PhasePaused           Phase = "paused"            // waits until an operator resumes the run
	PhaseLocked           Phase = "locked"            // waits for another process that uses the state directory
	PhaseError            Phase = "error"             // waits to retry a failed step
)

// phaseMessages are the log messages of the phases.
var phaseMessages = map[Phase]string{
	PhaseStopped: "watcher stopped", PhaseIdle: "waiting for the next maintenance",
	PhaseMaintenance: "maintenance in progress", PhaseSettling: "maintenance ended", PhaseNotReady: "Connect is not ready",
	PhasePlanning: "planning", PhaseAwaitingApproval: "waiting for approval", PhaseApplying: "resubmitting orders",
	PhaseError: "step failed, will retry", PhasePaused: "run is paused", PhaseLocked: "state directory is in use",
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
	// Run is the progress of the resubmission, in [PhaseApplying], at most a few seconds old.
	Run resubmit.Status
	// Err is the latest failure, in [PhaseError].
	Err error
}

// String returns the status in sentences on one line.
func (s Status) String() string {
	line := s.Text
	if s.Phase == PhaseApplying && s.Run.Total > 0 {
		line += " " + s.Run.Progress() + "."
	}
	if s.Run.Gate != "" {
		line += " Pushes are paused: " + s.Run.Gate + "."
	}
	if !s.Until.IsZero() && s.Phase != PhaseIdle && s.Phase != PhaseMaintenance && s.Phase != PhaseSettling {
		line += " The next check is at " + momentText(s.Until) + "."
	}
	return text.OneLine(line)
}

// board has the status of a watcher and logs it.
type board struct {
	logger   *slog.Logger
	failures int // of steps, in a row; used by the loop alone

	mu     sync.Mutex
	status Status
	logged string // key of the status that was logged last
}

// get returns the status.
func (b *board) get() Status {
	b.mu.Lock()
	s := b.status
	b.mu.Unlock()
	if s.Episode != nil {
		s.Episode = new(s.Episode.clone())
	}
	return s
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

// set sets the status, and logs it unless it was logged last.
func (b *board) set(u update) {
	u.text = text.Sentence(u.text)
	// Without the episode's ID, which may change until there is a plan.
	key := string(u.phase) + " " + cmp.Or(u.key, u.text)
	// A retry of a failed step is not logged again.
	retry := b.failures > 0 &&
		slices.Contains([]Phase{PhasePlanning, PhaseAwaitingApproval, PhaseApplying}, u.phase)
	b.mu.Lock()
	since := time.Now()
	if b.status.Phase == u.phase {
		since = b.status.Since
	}
	b.status = Status{Phase: u.phase, Text: u.text, Since: since, Until: u.until, Err: u.err}
	if len(u.episode.Windows) > 0 {
		b.status.Episode = &u.episode
	}
	isNew := b.logged != key && !retry && !u.silent
	if isNew {
		b.logged = key
	}
	b.mu.Unlock()
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
	b.log(u.level, phaseMessages[u.phase], append(attrs, "detail", u.text)...)
}

// failed records a failure with the open episode, if there is one, and returns the pause before the retry.
func (b *board) failed(err error, e Episode) time.Duration {
	pause := backoff(b.failures)
	b.failures++
	u := update{
		phase: PhaseError, level: slog.LevelWarn, until: time.Now().Add(pause), err: err, key: err.Error(),
		text: "A step failed and will be retried: " + text.Short(err.Error()) + ".", episode: e,
	}
	b.set(u)
	return pause
}

// backoff is the pause after n failures in a row.
func backoff(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), 10*time.Minute)
}

// log writes a line with a constant message.
func (b *board) log(level slog.Level, message string, attrs ...any) {
	b.logger.Log(context.Background(), level, message, attrs...)
}
