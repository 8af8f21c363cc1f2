package watch

import (
	"context"
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
	PhaseStopped          Phase = "stopped"     // Run is not called
	PhaseNoCalendar       Phase = "blind"       // no window was told yet
	PhaseIdle             Phase = "idle"        // until the next maintenance
	PhaseMaintenance      Phase = "maintenance" // until its end
	PhaseSettling         Phase = "settling"    // until Commerce has asked again about waiting orders
	PhaseNotReady         Phase = "not ready"   // until Connect is
	PhasePlanning         Phase = "planning"
	PhaseAwaitingApproval Phase = "asking" // for approval
	PhaseApplying         Phase = "applying"
	PhaseError            Phase = "trouble" // something failed, and is tried again
)

// Status is what a [Watcher] is doing at an instant.
type Status struct {
	Phase Phase
	// Text says it in a sentence.
	Text string
	// Since is when the phase began, Until when it is known, or hoped, to end; zero
	// when that is not known.
	Since time.Time
	Until time.Time
	// Episode is what it is about; nil when there is none.
	Episode *Episode
	// Run is how the resubmission stands, while one goes on.
	Run resubmit.Status
	// Err is what failed last, in [PhaseError].
	Err error
}

// String is the status in sentences, on one line.
func (s Status) String() string {
	line := s.Text
	if s.Phase == PhaseApplying && s.Run.Total > 0 {
		line += fmt.Sprintf(" %d of %d are done.", s.Run.Done, s.Run.Total)
	}
	if s.Run.Gate != "" {
		line += " Nothing is pushed now: " + s.Run.Gate + "."
	}
	if !s.Until.IsZero() && s.Phase != PhaseIdle && s.Phase != PhaseMaintenance && s.Phase != PhaseSettling {
		line += " The next look is at " + momentText(s.Until) + "."
	}
	return text.OneLine(line)
}

// Status tells what the watcher is doing.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	s, runner := w.status, w.runner
	w.mu.Unlock()
	if s.Episode != nil {
		e := *s.Episode
		e.Windows = slices.Clone(e.Windows)
		s.Episode = &e
	}
	if runner != nil {
		s.Run = runner.Status()
	}
	return s
}

// Episodes are those that were planned for, or were too old, in the order in which that
// happened. They are remembered for 400 days.
func (w *Watcher) Episodes() []Episode {
	w.mu.Lock()
	defer w.mu.Unlock()
	episodes := slices.Clone(w.state.Episodes)
	for i := range episodes {
		episodes[i].Windows = slices.Clone(episodes[i].Windows)
	}
	return episodes
}

// entry is a page of the diary, and the status.
type entry struct {
	phase   Phase
	level   slog.Level
	text    string
	key     string // what is news, where that is less than the text
	episode Episode
	until   time.Time
	err     error
	quiet   bool // for the status alone
}

// say makes an entry the status, and writes it down unless that was said last.
func (w *Watcher) say(en entry) {
	en.text = text.Sentence(en.text)
	key := en.key
	if key == "" {
		key = en.text
	}
	key = string(en.phase) + " " + key // not the id of the episode, which it keeps only from its plan on
	w.mu.Lock()
	since := time.Now()
	if w.status.Phase == en.phase {
		since = w.status.Since
	}
	w.status = Status{Phase: en.phase, Text: en.text, Since: since, Until: en.until, Err: en.err}
	if len(en.episode.Windows) > 0 {
		w.status.Episode = &en.episode
	}
	// Each new try of what failed is not worth another line.
	retry := w.failures > 0 && (en.phase == PhasePlanning || en.phase == PhaseAwaitingApproval || en.phase == PhaseApplying)
	news := w.said != key && !retry && !en.quiet
	if news {
		w.said = key
	}
	w.mu.Unlock()
	if !news {
		return
	}
	attrs := []any{"step", en.phase}
	if en.episode.ID != "" {
		attrs = append(attrs, "episode", en.episode.ID)
	}
	if !en.until.IsZero() {
		attrs = append(attrs, "until", en.until)
	}
	if en.err != nil {
		attrs = append(attrs, "error", en.err)
	}
	w.tell(en.level, en.text, attrs...)
}

// tell writes into the diary what is not a state to be in.
func (w *Watcher) tell(level slog.Level, said string, attrs ...any) {
	w.cfg.Logger.Log(context.Background(), level, text.Sentence(said), attrs...)
}

// failed notes what went wrong, and returns when to try again.
func (w *Watcher) failed(err error) time.Duration {
	pause := backoffAfter(w.failures)
	w.failures++
	until := time.Now().Add(pause)
	en := entry{phase: PhaseError, level: slog.LevelWarn, until: until, err: err, key: err.Error(),
		text: "Something failed, and is tried again: " + text.Short(err.Error()) + "."}
	if e, ok := w.state.open(); ok {
		en.episode = e
	}
	w.say(en)
	return pause
}

// greet begins the diary.
func (w *Watcher) greet(now time.Time) {
	text := fmt.Sprintf("The watcher begins. It looks at all maintenance that ended since %s.", momentText(w.from(now)))
	attrs := []any{"step", "start"}
	if w.saved {
		text = "The watcher goes on."
	}
	if e, ok := w.state.open(); ok {
		text = fmt.Sprintf("The watcher goes on with %s, which is %s.", e, e.State)
		attrs = append(attrs, "episode", e.ID)
	}
	w.tell(slog.LevelInfo, text, attrs...)
}

// from is since when maintenance is looked at.
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
