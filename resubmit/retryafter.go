package resubmit

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Retry-After takes this way: internal/rest reads the header of a response and reports it to the limiter of the call
// (ratelimit.ReportRetryAfter), which is the run's callLimiter. The run then holds all its calls (pacer.hold) and puts
// the time into the journal (PatientJournal), where the next run finds it. An error of a client that carries a
// RetryAfter takes the same way from noteErrors on, for clients that are not of this module.

// ErrPatience means that a server sent a Retry-After that is longer than Config.MaxHold. Nothing was
// sent to any server since.
var ErrPatience = errors.New("the Retry-After of a server is longer than Config.MaxHold")

// Patience is a pause that a server asked for with Retry-After.
type Patience struct {
	Asked time.Time // when the server asked
	Until time.Time // when the pause ends
}

// rest returns the rest of the pause. If the clock was set back, it is at most the whole pause.
func (p Patience) rest(now time.Time) time.Duration {
	return min(p.Until.Sub(now), p.Until.Sub(p.Asked))
}

// PatientJournal is a Journal that also stores the last Retry-After, so that a run that is resumed in
// another process waits for it. One value is enough, because a run calls no server during the pause.
// The journals of this library implement it.
type PatientJournal interface {
	Journal
	// PutPatience replaces the stored pause. When it returns nil the pause is as durable as the
	// records of the journal.
	PutPatience(Patience) error
	// Patience returns the stored pause; zero if there is none. It is called after Begin.
	Patience() (Patience, error)
}

// recallRetryAfter continues the pause that a server asked an earlier run for.
func (r *Runner) recallRetryAfter() error {
	j, ok := journalAs[PatientJournal](r.cfg.Journal)
	if !ok {
		return nil
	}
	p, err := func() (p Patience, err error) {
		defer callback.Recover(&err)
		return j.Patience()
	}()
	if err != nil {
		return fmt.Errorf("resubmit: open the journal: %w", err)
	}
	if d := p.rest(time.Now()); d > 0 {
		r.pace.hold(d)
	}
	return r.tooLong()
}

// retryAfterStep is the unit to which the end of a pause is rounded up in a journal, because many
// calls in a row get the same Retry-After.
const retryAfterStep = time.Second

// tooLong returns an error if the pause is longer than Config.MaxHold.
func (r *Runner) tooLong() error {
	return tooLong("a server", r.pace.rest()-retryAfterStep, r.cfg.MaxHold)
}

// noteRetryAfter logs and applies a Retry-After of an answer about an order.
func (x *run) noteRetryAfter(who string, d time.Duration, number string) {
	x.cfg.Logger.Warn(who+" sent Retry-After", "retryAfter", d, "order", text.Short(number))
	x.holdFor(who, d)
}

// holdFor pauses all calls for as long as a server asked, and ends the run if that is longer than Config.MaxHold. The
// pause is durable before any other call can be made.
func (x *run) holdFor(who string, d time.Duration) {
	asked := x.pace.hold(d)
	if err := tooLong(who, d, x.cfg.MaxHold); err != nil {
		x.cancel(err)
	}
	if err := x.storeRetryAfter(asked); err != nil {
		x.cancel(fmt.Errorf("resubmit: the journal could not record the Retry-After of %s, so nothing more is sent: %w",
			who, err))
	}
}

// storeRetryAfter puts a pause into the journal, unless a longer one is there.
func (x *run) storeRetryAfter(p Patience) (err error) {
	defer callback.Recover(&err)
	j, ok := journalAs[PatientJournal](x.cfg.Journal)
	if !ok {
		return nil
	}
	p.Asked, p.Until = p.Asked.Round(0).UTC(), p.Until.Add(retryAfterStep-1).Round(0).Truncate(retryAfterStep).UTC()
	x.keeping <- struct{}{} // no mutex: synctest does not count waiting for one as blocked
	defer func() { <-x.keeping }()
	if !p.Until.After(x.kept) {
		return nil
	}
	x.kept = p.Until
	return j.PutPatience(p)
}

func tooLong(who string, d, most time.Duration) error {
	if most < 0 || d <= most {
		return nil
	}
	return fmt.Errorf("resubmit: %s asks for a pause until %s: %w (%v); run again after that, or ask its operator",
		who, time.Now().Add(d).UTC().Format(time.RFC3339), ErrPatience, most)
}

// waitForHold waits until the pause that a server asked for has ended, or the run ends.
func (x *run) waitForHold(j *job) error {
	for rest := x.pace.rest(); rest > 0 && !x.stopping(); rest = x.pace.rest() {
		if err := x.gate.rest(j.ctx, rest); err != nil {
			return err
		}
	}
	return j.ctx.Err()
}

// noteErrors applies the Retry-After of an error and keeps its correlation id.
func (x *run) noteErrors(j *job, err error) {
	x.noteConnectErrors(err, j.item.Number)
	e, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		return
	}
	if e.RetryAfter > 0 {
		x.noteRetryAfter("Commerce", e.RetryAfter, j.item.Number)
	}
	if e.CorrelationID != "" {
		j.item.CorrelationID = e.CorrelationID
	}
}

func (x *run) noteConnectErrors(err error, number string) {
	if e, ok := errors.AsType[*connect.Error](err); ok && e.RetryAfter > 0 {
		x.noteRetryAfter("Connect", e.RetryAfter, number)
	}
}

// ReportRetryAfter implements ratelimit.Limiter. The client may wait and then succeed, without an error.
func (m *callLimiter) ReportRetryAfter(d time.Duration) {
	m.x.holdFor(m.who, d)
}
