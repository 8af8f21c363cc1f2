package availability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The parts of a [Readiness], in the order in which they are looked at.
const (
	PartKey      = "key"      // the API key is known and may read requests
	PartAnswer   = "answer"   // Connect itself answers without a key
	PartRequests = "requests" // requests can be counted with the key
	PartHub      = "hub"      // Commerce reports to Connect again
)

// PartState is how a part of a [Readiness] stands.
type PartState string

// The states of a part.
const (
	PartReady   PartState = "ready"
	PartMissing PartState = "missing" // it is not so
	PartUnknown PartState = "unknown" // it could not be asked
)

// ReadinessPart is one of the things that must be so.
type ReadinessPart struct {
	Name  string
	State PartState
	// Why is a sentence for the operator.
	Why string
	// Err is the cause, nil when the part is ready.
	Err error
}

// ReadinessQuery says what to look at. The zero value looks at Connect alone.
type ReadinessQuery struct {
	// Hub is the id of the hub of this Commerce, "HB-…"; "" leaves that part out.
	Hub string
	// Since is the end of the maintenance: a health check of before it says
	// nothing. Zero takes any that is young enough.
	Since time.Time
	// HealthAge is how old a health check may be. Default 610 s, which is twice
	// the time between two in the connector's code (connect/WIRE.md#7.3).
	HealthAge time.Duration
	// VersionBefore is the Connect-Version before the maintenance, to tell whether
	// a release was made; "" when not known.
	VersionBefore string
}

// healthAge is two cycles of 305 s (connect/WIRE.md#0.7).
const healthAge = 610 * time.Second

// Readiness is whether Connect is back, with the parts of the answer: the key and
// its permissions, the answer of Connect itself, an authenticated count, and,
// where a hub is given, that Commerce reports to Connect. That these show it is inferred
// (connect/WIRE.md#7.3).
type Readiness struct {
	At    time.Time
	Parts []ReadinessPart
	// Version is the Connect-Version that answered, VersionBefore the one asked
	// about.
	Version       string
	VersionBefore string
	// Probe is the look at Connect without a key.
	Probe connect.Probe
}

// Ready reports whether there are parts and all are ready.
func (r Readiness) Ready() bool {
	for _, p := range r.Parts {
		if p.State != PartReady {
			return false
		}
	}
	return len(r.Parts) > 0
}

// Released reports whether another version answers than before, which proves a
// release. It is false where either is not known.
func (r Readiness) Released() bool { return released(r.VersionBefore, r.Version) != "" }

// Missing are the parts that are not ready.
func (r Readiness) Missing() []ReadinessPart {
	var missing []ReadinessPart
	for _, p := range r.Parts {
		if p.State != PartReady {
			missing = append(missing, p)
		}
	}
	return missing
}

// String is the readiness in sentences, on one line.
func (r Readiness) String() string {
	sentences := []string{"Ready."}
	if !r.Ready() {
		sentences[0] = "Not ready."
	}
	for _, p := range r.Parts {
		sentences = append(sentences, p.Why)
	}
	if versions := released(r.VersionBefore, r.Version); versions != "" {
		sentences = append(sentences, versions)
	}
	return text.OneLine(strings.Join(sentences, " "))
}

// CheckReadiness checks whether Connect is back, the key before anything else. Every
// failure is in the result; of a part that could not be asked it says unknown, never
// that it is ready. It makes four or five calls, and tries those with the key again as
// the client does.
func CheckReadiness(ctx context.Context, c *connect.Client, q ReadinessQuery) Readiness {
	r := Readiness{At: time.Now().UTC(), VersionBefore: q.VersionBefore}
	access := c.CheckAccess(ctx)
	probe, err := c.Probe(ctx)
	if err != nil {
		probe = connect.Probe{Class: connect.Unreachable, At: r.At, Err: err}
	}
	r.Probe, r.Version = probe, probe.Version
	r.Parts = []ReadinessPart{keyPart(access), answerPart(probe), requestsPart(ctx, c, access)}
	if q.Hub != "" {
		r.Parts = append(r.Parts, hubPart(ctx, c, q))
	}
	return r
}

func keyPart(err error) ReadinessPart {
	switch {
	case err == nil:
		return ReadinessPart{Name: PartKey, State: PartReady, Why: "The API key may read requests."}
	case errors.Is(err, connect.ErrUnauthorized), errors.Is(err, connect.ErrForbidden):
		return lacking(PartKey, PartMissing, "The API key is not good for this", err)
	default:
		return lacking(PartKey, PartUnknown, "Whether the API key is good for this is not known", err)
	}
}

func lacking(name string, state PartState, what string, err error) ReadinessPart {
	return ReadinessPart{Name: name, State: state, Why: fmt.Sprintf("%s: %v.", what, err), Err: err}
}

func answerPart(p connect.Probe) ReadinessPart {
	if p.Class != connect.Up {
		state := PartMissing
		if p.Class == connect.Unreachable {
			state = PartUnknown // the cause may be the network on this side
		}
		return lacking(PartAnswer, state, fmt.Sprintf("Connect itself does not answer, it is %s", p.Class), p.Err)
	}
	why := "Connect itself answers."
	if p.Version != "" {
		why = fmt.Sprintf("Connect itself answers, version %s.", p.Version)
	}
	return ReadinessPart{Name: PartAnswer, State: PartReady, Why: why}
}

// requestsPart counts, unless the key has been refused already.
func requestsPart(ctx context.Context, c *connect.Client, access error) ReadinessPart {
	if errors.Is(access, connect.ErrUnauthorized) || errors.Is(access, connect.ErrForbidden) {
		return lacking(PartRequests, PartUnknown, "Requests were not counted", errors.New("the API key is not good for it"))
	}
	n, err := c.CountRequests(ctx, connect.RequestQuery{})
	if err != nil {
		return lacking(PartRequests, PartMissing, "Requests cannot be counted", err)
	}
	return ReadinessPart{Name: PartRequests, State: PartReady, Why: fmt.Sprintf("Connect counts %d requests.", n)}
}

func hubPart(ctx context.Context, c *connect.Client, q ReadinessQuery) ReadinessPart {
	hub, err := c.Hub(ctx, q.Hub)
	if err != nil {
		return lacking(PartHub, PartUnknown, "Whether Commerce reports to Connect is not known", err)
	}
	return healthPart(hub, q, time.Now())
}

// healthPart judges the last health check of the hub.
func healthPart(h *connect.Hub, q ReadinessQuery, now time.Time) ReadinessPart {
	most := cmp.Or(q.HealthAge, healthAge)
	checked := h.LastHealthCheck
	age := now.Sub(checked).Round(time.Second)
	name := "hub " + h.ID
	fail := func(state PartState, format string, args ...any) ReadinessPart {
		what := "Commerce does not report to Connect"
		if state == PartUnknown {
			what = "Whether Commerce reports to Connect is not known"
		}
		return lacking(PartHub, state, what, fmt.Errorf(format, args...))
	}
	switch {
	case checked.IsZero():
		return fail(PartMissing, "%s never has", name)
	case age < -clockTolerance:
		return fail(PartUnknown, "the last health check of %s is %s in the future: compare the clocks", name, -age)
	case checked.Before(q.Since):
		return fail(PartMissing, "%s last reported at %s, before the maintenance ended: it does so about every 305 s",
			name, text.Clock(checked.UTC(), time.UTC))
	case age > most:
		return fail(PartMissing, "%s last reported %s ago, more than %s", name, age, most)
	default:
		return ReadinessPart{Name: PartHub, State: PartReady, Why: fmt.Sprintf("Commerce reports to Connect: %s did %s ago.", name, max(0, age))}
	}
}
