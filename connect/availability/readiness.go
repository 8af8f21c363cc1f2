package availability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The parts of a [Readiness], in the order in which they are checked.
const (
	PartKey      = "key"      // the API key is valid and may read requests
	PartAnswer   = "answer"   // Connect itself answers without a key
	PartRequests = "requests" // requests can be counted with the key
	PartHub      = "hub"      // Commerce reports to Connect again
)

// PartState is the state of a [ReadinessPart].
type PartState string

// The states of a part.
const (
	PartReady   PartState = "ready"
	PartMissing PartState = "missing" // not ready
	PartUnknown PartState = "unknown" // could not be checked
)

// ReadinessPart is the result of one check.
type ReadinessPart struct {
	Name  string
	State PartState
	// Why is a sentence for the operator.
	Why string
	// Err is the cause, nil if the part is ready.
	Err error
}

// ReadinessQuery configures [CheckReadiness]. The zero value checks Connect alone.
type ReadinessQuery struct {
	// Hub is the id of the hub of this Commerce, "HB-…"; "" skips that part.
	Hub string
	// Since is the end of the maintenance: an earlier health check does not count.
	// Zero accepts any that is recent.
	Since time.Time
	// HealthAge is how old the last health check may be. Default 610 s, twice the
	// interval of 305 s in the code of the connector (connect/WIRE.md#7.3).
	HealthAge time.Duration
	// VersionBefore is the Connect-Version before the maintenance, to detect a
	// release; "" if unknown.
	VersionBefore string
}

// healthAge is two intervals of 305 s (connect/WIRE.md#0.7).
const healthAge = 610 * time.Second

// Readiness is the result of [CheckReadiness]: whether Connect is back. The parts are
// the API key and its permissions, an answer of Connect itself, an authenticated count of
// requests and, for a hub, that Commerce reports to Connect. That these show it is
// inferred (connect/WIRE.md#7.3).
type Readiness struct {
	At    time.Time
	Parts []ReadinessPart
	// Version is the current Connect-Version, VersionBefore that of the query.
	Version       string
	VersionBefore string
	// Probe is the probe without a key.
	Probe connect.Probe
}

// Ready reports whether there are parts and all of them are ready.
func (r Readiness) Ready() bool { return len(r.Parts) > 0 && len(r.Missing()) == 0 }

// Released reports whether the version changed, which means a release (inferred). It
// is false if either version is unknown.
func (r Readiness) Released() bool { return released(r.VersionBefore, r.Version) != "" }

// Missing returns the parts that are not ready.
func (r Readiness) Missing() []ReadinessPart {
	return slices.DeleteFunc(slices.Clone(r.Parts), func(p ReadinessPart) bool { return p.State == PartReady })
}

// String describes the readiness in sentences, on one line.
func (r Readiness) String() string {
	sentences := []string{"Ready."}
	if !r.Ready() {
		sentences[0] = "Not ready."
	}
	for _, p := range r.Parts {
		sentences = append(sentences, p.Why)
	}
	sentences = append(sentences, released(r.VersionBefore, r.Version))
	return text.OneLine(strings.TrimSpace(strings.Join(sentences, " ")))
}

// CheckReadiness checks whether Connect is back. Every failure is in the result: a part
// that could not be checked is unknown, never ready. It makes four or five calls; those
// with the key are retried as the client does.
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

func ready(name, why string) ReadinessPart {
	return ReadinessPart{Name: name, State: PartReady, Why: why}
}

func notReady(name string, state PartState, what string, err error) ReadinessPart {
	return ReadinessPart{Name: name, State: state, Why: fmt.Sprintf("%s: %v.", what, err), Err: err}
}

func refused(access error) bool {
	return errors.Is(access, connect.ErrUnauthorized) || errors.Is(access, connect.ErrForbidden)
}

func keyPart(access error) ReadinessPart {
	switch {
	case access == nil:
		return ready(PartKey, "The API key may read requests.")
	case refused(access):
		return notReady(PartKey, PartMissing, "The API key may not read requests", access)
	default:
		return notReady(PartKey, PartUnknown, "The API key could not be checked", access)
	}
}

func answerPart(p connect.Probe) ReadinessPart {
	switch {
	case p.Class == connect.Unreachable: // the cause may be the local network
		return notReady(PartAnswer, PartUnknown, "Connect is unreachable", p.Err)
	case p.Class != connect.Up:
		return notReady(PartAnswer, PartMissing, fmt.Sprintf("Connect itself does not answer (%s)", p.Class), p.Err)
	case p.Version != "":
		return ready(PartAnswer, fmt.Sprintf("Connect itself answers, version %s.", p.Version))
	default:
		return ready(PartAnswer, "Connect itself answers.")
	}
}

// requestsPart counts requests, unless the key has been refused already.
func requestsPart(ctx context.Context, c *connect.Client, access error) ReadinessPart {
	if refused(access) {
		return notReady(PartRequests, PartUnknown, "Requests were not counted", errors.New("the API key may not read them"))
	}
	n, err := c.CountRequests(ctx, connect.RequestQuery{})
	if err != nil {
		return notReady(PartRequests, PartMissing, "Requests cannot be counted", err)
	}
	return ready(PartRequests, fmt.Sprintf("Connect counts %d requests.", n))
}

// hubPart checks the time of the last health check of the hub.
func hubPart(ctx context.Context, c *connect.Client, q ReadinessQuery) ReadinessPart {
	const missing, unknown = "Commerce does not report to Connect", "Whether Commerce reports to Connect is unknown"
	hub, err := c.Hub(ctx, q.Hub)
	if err != nil {
		return notReady(PartHub, PartUnknown, unknown, err)
	}
	checked := hub.LastHealthCheck
	age := time.Since(checked).Round(time.Second)
	limit := cmp.Or(q.HealthAge, healthAge)
	switch {
	case checked.IsZero():
		return notReady(PartHub, PartMissing, missing, fmt.Errorf("hub %s never reported", hub.ID))
	case age < -clockTolerance:
		return notReady(PartHub, PartUnknown, unknown,
			fmt.Errorf("the last health check of hub %s is %s in the future: compare the clocks", hub.ID, -age))
	case checked.Before(q.Since):
		return notReady(PartHub, PartMissing, missing,
			fmt.Errorf("hub %s last reported at %s, before the maintenance ended: it reports about every 305 s",
				hub.ID, text.Clock(checked.UTC(), time.UTC)))
	case age > limit:
		return notReady(PartHub, PartMissing, missing, fmt.Errorf("hub %s last reported %s ago, more than %s", hub.ID, age,
			limit))
	default:
		return ready(PartHub, fmt.Sprintf("Commerce reports to Connect: hub %s reported %s ago.", hub.ID, max(0, age)))
	}
}
