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

// ErrPatience says that a server asked for more patience than Config.MaxHold
// allows. Nothing was sent to it since.
var ErrPatience = errors.New("a server asks for more patience than Config.MaxHold")

// Patience is what a server asked for (Retry-After): to be left alone until a time.
type Patience struct {
	Asked, Until time.Time
}

// rest is how long it is to be left alone yet. If the clock was set back since, that is
// no longer than was asked for.
func (p Patience) rest(now time.Time) time.Duration {
	return min(p.Until.Sub(now), p.Until.Sub(p.Asked))
}

// PatientJournal is a Journal that also remembers that a server asked for patience, so
// that a run which goes on in another process keeps to that. One value is enough: a run
// sends nothing to any server meanwhile. The journals of this library are patient.
type PatientJournal interface {
	Journal
	// PutPatience takes the place of what was put before. It is durable, as far as the
	// journal promises at all, when PutPatience returns nil.
	PutPatience(Patience) error
	// Patience returns what was put last; zero for nothing. Begin was called before.
	Patience() (Patience, error)
}

// recallPatience lets nothing out for as long as a server asked an earlier run.
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

// retryAfterStep is to what patience is kept in a journal, since many calls are told the
// same in a row. It is rounded up.
const retryAfterStep = time.Second

// tooLong says that a server is to be left alone for longer than a run may wait.
func (r *Runner) tooLong() error {
	return tooLong("a server", r.pace.rest()-retryAfterStep, r.cfg.MaxHold)
}

// noteRetryAfter logs and applies a Retry-After of an answer about an order.
func (x *run) noteRetryAfter(who string, d time.Duration, number string) {
	x.cfg.Logger.Warn(who+" asks for a pause", "retryAfter", d, "order", text.Short(number))
	x.holdFor(who, d)
}

// holdFor sends nothing for as long as a server asked, and ends the run if that is more than Config.MaxHold. It is
// durable before any other call can be made.
func (x *run) holdFor(who string, d time.Duration) {
	asked := x.pace.hold(d)
	if err := tooLong(who, d, x.cfg.MaxHold); err != nil {
		x.cancel(err)
	}
	if err := x.storeRetryAfter(asked); err != nil {
		x.cancel(fmt.Errorf("resubmit: the journal could not record that %s asks for patience, so nothing more is sent: %w",
			who, err))
	}
}

// keepPatience puts what was asked for into the journal, unless as much is there.
func (x *run) storeRetryAfter(p Patience) (err error) {
	defer callback.Recover(&err)
	j, ok := journalAs[PatientJournal](x.cfg.Journal)
	if !ok {
		return nil
	}
	p.Asked, p.Until = p.Asked.Round(0).UTC(), p.Until.Add(retryAfterStep-1).Round(0).Truncate(retryAfterStep).UTC()
	x.keeping <- struct{}{} // no mutex, since the journal takes its time
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
	return fmt.Errorf("resubmit: %s asks to be left alone until %s: %w (%v); run again after that, or ask who runs it",
		who, time.Now().Add(d).UTC().Format(time.RFC3339), ErrPatience, most)
}

// waitForHold waits as long as a server asked, unless the run ends before.
func (x *run) waitForHold(j *job) error {
	for rest := x.pace.rest(); rest > 0 && !x.stopping(); rest = x.pace.rest() {
		if err := x.gate.rest(j.ctx, rest); err != nil {
			return err
		}
	}
	return j.ctx.Err()
}

// noteErrors keeps the Retry-After and the correlation id of an error.
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

// ReportRetryAfter implements ratelimit.Limiter. The client may wait for that, and say nothing of it.
func (m *callLimiter) ReportRetryAfter(d time.Duration) {
	m.x.holdFor(m.who, d)
}
