package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// Kind is what a fault does to a call.
type Kind string

// The kinds of faults.
const (
	// Delay only waits: with After, between the action and its answer.
	Delay Kind = "delay"
	// Reset closes the connection without an answer.
	Reset Kind = "reset"
	// Status answers with Fault.Status instead.
	Status Kind = "status"
	// Truncate does the action and sends the first half of its answer. An
	// answer without a body has no half: it is reset.
	Truncate Kind = "truncate"
	// HTML answers 200 with an HTML page, as some gateways do in a maintenance.
	HTML Kind = "html"
)

// Fault says which calls go wrong, and how. In JSON, durations are strings such
// as "250ms", and unknown fields are errors.
type Fault struct {
	// Method is the HTTP method; "" is every method.
	Method string
	// Path is compared with the path of the URL: * stands for any text, slashes
	// included; "" is every path.
	Path string
	// Contains is text that the first 64 KiB of the body must hold, for protocols
	// whose calls share one path; "" is every body.
	Contains string

	// Skip lets the first matching calls pass.
	Skip int
	// Every hits each n-th matching call after that, beginning with the first;
	// 0 hits each.
	Every int
	// Times is how often the fault hits; 0 is always.
	Times int

	Kind Kind
	// After does the action first, and spoils only its answer.
	After bool
	// Holds is text that the answer must hold to be spoilt, for protocols that refuse
	// with the same status as they accept. It goes with After and [Truncate]; an answer
	// without it goes out as it is, and counts as a hit. "" is every answer.
	Holds string
	// Delay is waited for first, with every kind. It ends with the request.
	Delay time.Duration
	// Status is the status of the kind [Status], 400–599.
	Status int
	// RetryAfter is sent as Retry-After in seconds, with the kind [Status]; 0
	// sends none.
	RetryAfter time.Duration
}

// wire is the JSON form of a Fault.
type wire struct {
	Method     string `json:"method,omitempty"`
	Path       string `json:"path,omitempty"`
	Contains   string `json:"contains,omitempty"`
	Skip       int    `json:"skip,omitempty"`
	Every      int    `json:"every,omitempty"`
	Times      int    `json:"times,omitempty"`
	Kind       Kind   `json:"kind"`
	After      bool   `json:"after,omitempty"`
	Holds      string `json:"holds,omitempty"`
	Delay      string `json:"delay,omitempty"`
	Status     int    `json:"status,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
}

// MarshalJSON writes the fault with its durations as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	w := wire{
		Method: f.Method, Path: f.Path, Contains: f.Contains,
		Skip: f.Skip, Every: f.Every, Times: f.Times,
		Kind: f.Kind, After: f.After, Holds: f.Holds, Status: f.Status,
	}
	if f.Delay != 0 {
		w.Delay = f.Delay.String()
	}
	if f.RetryAfter != 0 {
		w.RetryAfter = f.RetryAfter.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads a fault and checks it.
func (f *Fault) UnmarshalJSON(data []byte) error {
	if err := number.CheckJSON(data); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	var w wire
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("fault: there is text after the object")
	}
	delay, err := duration("delay", w.Delay)
	if err != nil {
		return err
	}
	retry, err := duration("retryAfter", w.RetryAfter)
	if err != nil {
		return err
	}
	read := Fault{
		Method: w.Method, Path: w.Path, Contains: w.Contains,
		Skip: w.Skip, Every: w.Every, Times: w.Times,
		Kind: w.Kind, After: w.After, Holds: w.Holds, Delay: delay,
		Status: w.Status, RetryAfter: retry,
	}
	if err := read.check(); err != nil {
		return err
	}
	*f = read
	return nil
}

func duration(key, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("fault: %s is %q: want a duration such as \"250ms\"", key, text)
	}
	return d, nil
}

// check refuses what cannot work or would do nothing.
func (f Fault) check() error {
	switch f.Kind {
	case Reset, HTML, Truncate:
	case Delay:
		if f.Delay <= 0 {
			return fmt.Errorf("fault: delay is %s: the kind %q needs more than 0", f.Delay, f.Kind)
		}
	case Status:
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("fault: status is %d: want 400–599", f.Status)
		}
	default:
		return fmt.Errorf("fault: kind is %q: want delay, reset, status, truncate or html", f.Kind)
	}
	if f.Kind != Status && (f.Status != 0 || f.RetryAfter != 0) {
		return fmt.Errorf("fault: status and retryAfter go with the kind \"status\" only, not with %q", f.Kind)
	}
	if f.Holds != "" && !f.After && f.Kind != Truncate {
		return errors.New("fault: holds is about the answer: it goes with after and with the kind \"truncate\" only")
	}
	if f.Skip < 0 || f.Every < 0 || f.Times < 0 || f.Delay < 0 || f.RetryAfter < 0 {
		return errors.New("fault: skip, every, times, delay and retryAfter must not be negative")
	}
	return nil
}

// matches reports whether the fault concerns a request that starts with body.
func (f Fault) matches(r *http.Request, body []byte) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, r.Method) {
		return false
	}
	if f.Path != "" && !glob(f.Path, r.URL.Path) {
		return false
	}
	return f.Contains == "" || bytes.Contains(body, []byte(f.Contains))
}

// glob matches s against a pattern in which * stands for any text.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
