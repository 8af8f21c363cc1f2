package connect

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// ProbeClass is what a [Probe] found: Connect up, down in some way, or unreachable.
type ProbeClass string

// The values. That 502 means a maintenance and that Connect-Version shows an answer of Connect is
// from the code of CloudBlue's own programs (connect/WIRE.md#7.1, connect/WIRE.md#0.3); the rest is
// inferred.
const (
	// ClassUp: Connect itself answered. A refusal of an unauthenticated call counts.
	ClassUp ProbeClass = "up"
	// ClassMaintenanceSuspected: 502, which CloudBlue's own tools take for a maintenance.
	ClassMaintenanceSuspected ProbeClass = "maintenance suspected"
	// ClassUnavailable: something in front of Connect answered in its place.
	ClassUnavailable ProbeClass = "unavailable"
	// ClassDegraded: Connect itself answered with a server error.
	ClassDegraded ProbeClass = "degraded"
	// ClassUnreachable: no answer. The cause may be the local network.
	ClassUnreachable ProbeClass = "unreachable"
)

// Probe is the result of one call to Connect without credentials.
type Probe struct {
	Class ProbeClass
	// Version is the Connect-Version of the answer; another one after a maintenance
	// means a release (inferred). Empty if Connect itself did not answer.
	Version string
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// At is when the probe started, in UTC. Elapsed is how long it took.
	At      time.Time
	Elapsed time.Duration
	// ServerTime is the Date of the answer, whoever sent it; zero if there is none.
	ServerTime time.Time
	// Err is what went wrong; nil if Connect is up.
	Err error

	// Monotonic is At with a reading of the monotonic clock: [time.Time.Sub] of two of them is not
	// affected when the clock is set. Zero if unknown.
	Monotonic time.Time
}

// ClockAhead returns how far the local clock is ahead of the server that answered: negative
// if it is behind, zero if the server sent no time.
func (p Probe) ClockAhead() time.Duration {
	if p.ServerTime.IsZero() {
		return 0
	}
	return p.At.Add(p.Elapsed).Sub(p.ServerTime)
}

// Probe checks whether Connect is up, without credentials and retries: HEAD on the base URL,
// then GET if the answer does not show who sent it. Failures are in the result; the error is
// non-nil only if ctx was cancelled. If the deadline of ctx passes, the class is ClassUnreachable.
//
// That the base URL answers unauthenticated calls with Connect-Version is from the code of
// CloudBlue's own programs (connect/WIRE.md#0.3). Without it, an error body in the format of
// Connect also shows that Connect answered (inferred).
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	begin := time.Now()
	seen := c.look(ctx, http.MethodHead)
	if seen.vague() {
		seen = c.look(ctx, http.MethodGet)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Probe{}, &Error{Op: "probe", Err: ctx.Err()}
	}
	p := Probe{
		Class: seen.class(), Version: seen.version, Status: seen.status,
		At: begin.UTC(), Elapsed: time.Since(begin),
		ServerTime: seen.date, Monotonic: begin,
	}
	if p.Class != ClassUp {
		p.Err = seen.err
	}
	return p, nil
}

// sight is one answer to a probe.
type sight struct {
	status  int
	version string
	code    string // error_code of a JSON body
	date    time.Time
	err     error
}

// vague reports whether a HEAD, which has no body, does not show who answered.
func (s sight) vague() bool {
	return s.status != 0 && s.version == "" && s.class() == ClassUnavailable &&
		s.status != http.StatusServiceUnavailable && s.status != http.StatusGatewayTimeout
}

func (s sight) class() ProbeClass {
	signed := s.version != "" || errorCode.MatchString(s.code)
	switch {
	case s.status == 0:
		return ClassUnreachable
	case s.status == http.StatusBadGateway:
		return ClassMaintenanceSuspected
	case s.status == http.StatusServiceUnavailable, s.status == http.StatusGatewayTimeout, !signed:
		return ClassUnavailable
	case s.status >= http.StatusInternalServerError:
		return ClassDegraded
	default:
		return ClassUp
	}
}

// errorCode matches the error codes of Connect (connect/WIRE.md#5).
var errorCode = regexp.MustCompile(`^[A-Z]{2,4}_\d{3}$`)

func (c *Client) look(ctx context.Context, method string) sight {
	const op = "probe"
	resp, err := c.once.Do(ctx, rest.Request{Op: op, Method: method, Safety: rest.Read})
	if err != nil {
		e := failure(ctx, op, err)
		s := sight{status: e.HTTPStatus, version: e.ConnectVersion, code: e.Code, err: e}
		if cause, ok := errors.AsType[*rest.Error](err); ok {
			s.date = date(cause.Header)
		}
		return s
	}
	defer func() { _ = resp.Body.Close() }()
	s := sight{status: resp.Status, version: resp.Header.Get(versionHeader), date: date(resp.Header)}
	if s.version == "" {
		s.err = &Error{Op: op, Method: method, URL: c.base, HTTPStatus: s.status,
			Err: errors.New("the answer has no Connect-Version: something other than Connect answered")}
	}
	return s
}

// date returns the Date of an answer, or zero.
func date(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
