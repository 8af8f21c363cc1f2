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

// The names of the checks of a [Readiness], in their order.
const (
	CheckKey      = "key"      // the API key is valid and may read requests
	CheckAnswer   = "answer"   // Connect itself answers without a key
	CheckRequests = "requests" // requests can be counted with the key
	CheckHub      = "hub"      // Commerce sends health checks to Connect again
)

// CheckState is the state of a [Check].
type CheckState string

// The states of a check.
const (
	StateReady    CheckState = "ready"
	StateNotReady CheckState = "missing"
	StateUnknown  CheckState = "unknown" // could not be checked
)

// Check is the result of one check of a [Readiness].
type Check struct {
	Name  string
	State CheckState
	// Why is a sentence for the operator.
	Why string
	// Err is the cause, nil if the state is ready.
	Err error
}

// ReadinessConfig configures [CheckReadiness]. The zero value checks Connect alone.
type ReadinessConfig struct {
	// Hub is the id of the hub of this Commerce, "HB-…"; "" skips that check.
	Hub string
	// Since is the end of the maintenance: an earlier health check does not count.
	// Zero accepts any that is recent.
	Since time.Time
	// MaxHealthAge is how old the last health check may be. Default 610 s, twice the
	// interval of 305 s in the code of the connector (connect/WIRE.md#7.3).
	MaxHealthAge time.Duration
	// VersionBefore is the Connect-Version before the maintenance, to detect a
	// release; "" if unknown.
	VersionBefore string
}

// healthAge is two intervals of 305 s (connect/WIRE.md#0.7).
const healthAge = 610 * time.Second

// Readiness is the result of [CheckReadiness]: whether Connect is back. The checks are
// the API key and its permissions, an answer of Connect itself, an authenticated count of
// requests and, for a hub, that Commerce reports to Connect. That these show it is
// inferred (connect/WIRE.md#7.3).
type Readiness struct {
	At     time.Time
	Checks []Check
	// Version is the current Connect-Version, VersionBefore that of the configuration.
	Version       string
	VersionBefore string
	// Probe is the probe without a key.
	Probe connect.Probe
}

// Ready reports whether Connect is ready: there are checks and all of them passed.
func (r Readiness) Ready() bool { return len(r.Checks) > 0 && len(r.NotReady()) == 0 }

// VersionChanged reports whether Connect has another version than before the maintenance, which
// means a release (inferred). It is false if either version is unknown.
func (r Readiness) VersionChanged() bool { return released(r.VersionBefore, r.Version) != "" }

// NotReady returns the checks that are not ready.
func (r Readiness) NotReady() []Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(p Check) bool { return p.State == StateReady })
}

// String describes the readiness in sentences, on one line.
func (r Readiness) String() string {
	sentences := []string{"Ready."}
	if !r.Ready() {
		sentences[0] = "Not ready."
	}
	for _, p := range r.Checks {
		sentences = append(sentences, p.Why)
	}
	sentences = append(sentences, released(r.VersionBefore, r.Version))
	return text.OneLine(strings.TrimSpace(strings.Join(sentences, " ")))
}

// CheckReadiness checks whether Connect is back. Every failure is in the result: a check
// that could not be made is unknown, never ready. It makes four or five calls; those
// with the key are retried as the client does.
func CheckReadiness(ctx context.Context, c *connect.Client, q ReadinessConfig) Readiness {
	r := Readiness{At: time.Now().UTC(), VersionBefore: q.VersionBefore}
	access := c.CheckAccess(ctx)
	probe, err := c.Probe(ctx)
	if err != nil {
		probe = connect.Probe{Class: connect.ClassUnreachable, At: r.At, Err: err}
	}
	r.Probe, r.Version = probe, probe.Version
	r.Checks = []Check{keyPart(access), answerPart(probe), requestsPart(ctx, c, access)}
	if q.Hub != "" {
		r.Checks = append(r.Checks, hubPart(ctx, c, q))
	}
	return r
}

func ready(name, why string) Check {
	return Check{Name: name, State: StateReady, Why: why}
}

func notReady(name string, state CheckState, what string, err error) Check {
	return Check{Name: name, State: state, Why: fmt.Sprintf("%s: %v.", what, err), Err: err}
}

func refused(access error) bool {
	return errors.Is(access, connect.ErrUnauthorized) || errors.Is(access, connect.ErrForbidden)
}

func keyPart(access error) Check {
	switch {
	case access == nil:
		return ready(CheckKey, "The API key may read requests.")
	case refused(access):
		return notReady(CheckKey, StateNotReady, "The API key may not read requests", access)
	default:
		return notReady(CheckKey, StateUnknown, "The API key could not be checked", access)
	}
}

func answerPart(p connect.Probe) Check {
	switch {
	case p.Class == connect.ClassUnreachable: // the cause may be the local network
		return notReady(CheckAnswer, StateUnknown, "Connect is unreachable", p.Err)
	case p.Class != connect.ClassUp:
		return notReady(CheckAnswer, StateNotReady, fmt.Sprintf("Connect itself does not answer (%s)", p.Class), p.Err)
	case p.Version != "":
		return ready(CheckAnswer, fmt.Sprintf("Connect itself answers, version %s.", p.Version))
	default:
		return ready(CheckAnswer, "Connect itself answers.")
	}
}

// requestsPart counts requests, unless the key has been refused already.
func requestsPart(ctx context.Context, c *connect.Client, access error) Check {
	if refused(access) {
		return notReady(CheckRequests, StateUnknown, "Requests were not counted", errors.New("the API key may not read them"))
	}
	n, err := c.CountRequests(ctx, connect.RequestQuery{})
	if err != nil {
		return notReady(CheckRequests, StateNotReady, "Requests cannot be counted", err)
	}
	return ready(CheckRequests, fmt.Sprintf("Connect counts %d requests.", n))
}

// hubPart checks the time of the last health check of the hub.
func hubPart(ctx context.Context, c *connect.Client, q ReadinessConfig) Check {
	const missing, unknown = "Commerce does not report to Connect", "Whether Commerce reports to Connect is unknown"
	hub, err := c.Hub(ctx, q.Hub)
	if err != nil {
		return notReady(CheckHub, StateUnknown, unknown, err)
	}
	checked := hub.LastHealthCheck
	age := time.Since(checked).Round(time.Second)
	limit := cmp.Or(q.MaxHealthAge, healthAge)
	switch {
	case checked.IsZero():
		return notReady(CheckHub, StateNotReady, missing, fmt.Errorf("hub %s never reported", hub.ID))
	case age < -clockTolerance:
		return notReady(CheckHub, StateUnknown, unknown,
			fmt.Errorf("the last health check of hub %s is %s in the future: compare the clocks", hub.ID, -age))
	case checked.Before(q.Since):
		return notReady(CheckHub, StateNotReady, missing,
			fmt.Errorf("hub %s last reported at %s, before the maintenance ended: it reports about every 305 s",
				hub.ID, text.Clock(checked.UTC(), time.UTC)))
	case age > limit:
		return notReady(CheckHub, StateNotReady, missing, fmt.Errorf("hub %s last reported %s ago, more than %s", hub.ID, age,
			limit))
	default:
		return ready(CheckHub, fmt.Sprintf("Commerce reports to Connect: hub %s reported %s ago.", hub.ID, max(0, age)))
	}
}
