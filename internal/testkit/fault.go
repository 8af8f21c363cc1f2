package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// FaultKind is what an injected fault does to a call.
type FaultKind string

// The kinds of faults.
const (
	// FaultDelay only waits: before the action, or with After between the action and its answer.
	FaultDelay FaultKind = "delay"
	// FaultReset closes the connection without an answer.
	FaultReset FaultKind = "reset"
	// FaultStatus answers with Fault.Status instead.
	FaultStatus FaultKind = "status"
	// FaultTruncate performs the action and sends the first half of its answer.
	// An answer without a body is reset.
	FaultTruncate FaultKind = "truncate"
	// FaultHTML answers 200 with an HTML page, as some gateways do during a maintenance.
	FaultHTML FaultKind = "html"
)

// Fault selects HTTP calls of a test system and says what goes wrong with them. In
// JSON, durations are strings such as "250ms", and unknown fields are errors.
type Fault struct {
	// Method is the HTTP method; "" matches every method.
	Method string `json:"method,omitempty"`
	// Path is a pattern for the path of the URL, in which * matches any text,
	// slashes included; "" matches every path.
	Path string `json:"path,omitempty"`
	// Contains is text that the first 64 KiB of the body must contain, for protocols
	// whose calls share one path; "" matches every body.
	Contains string `json:"contains,omitempty"`

	// Skip is how many matching calls pass before the fault is first applied.
	Skip int `json:"skip,omitempty"`
	// Every applies the fault to every n-th matching call after that, beginning with
	// the first; 0 applies it to each.
	Every int `json:"every,omitempty"`
	// Times limits how often the fault is applied; 0 means no limit.
	Times int `json:"times,omitempty"`

	// Kind is what happens to a call; it is required.
	Kind FaultKind `json:"kind"`
	// After performs the action first, so that only its answer is affected.
	After bool `json:"after,omitempty"`
	// Holds is text that the answer must contain to be affected, for protocols that
	// refuse with the same status as they accept. It requires After or [FaultTruncate].
	// An answer without the text is sent unchanged, and counts as applied. "" affects
	// every answer.
	Holds string `json:"holds,omitempty"`
	// Delay is a wait that precedes the fault, with every kind. It ends with the request.
	Delay time.Duration `json:"delay,omitempty"`
	// Status is the status of [FaultStatus], 400 to 599.
	Status int `json:"status,omitempty"`
	// RetryAfter is sent as Retry-After, rounded up to seconds, with [FaultStatus]; 0
	// sends no such header.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
}

type plainFault Fault

// faultJSON is a Fault whose durations are text: its fields hide those of plainFault.
type faultJSON struct {
	plainFault
	Delay      string `json:"delay,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
}

var faultFormat = jsonfile.Format[faultJSON]{Name: "fault"}

// MarshalJSON writes the fault with its durations as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{plainFault: plainFault(f)}
	if f.Delay != 0 {
		out.Delay = f.Delay.String()
	}
	if f.RetryAfter != 0 {
		out.RetryAfter = f.RetryAfter.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a fault and validates it. After an error, f is unchanged.
func (f *Fault) UnmarshalJSON(data []byte) error {
	in, err := faultFormat.Unmarshal(data)
	if err != nil {
		return err
	}
	read := Fault(in.plainFault)
	if read.Delay, err = duration("delay", in.Delay); err != nil {
		return err
	}
	if read.RetryAfter, err = duration("retryAfter", in.RetryAfter); err != nil {
		return err
	}
	if err := read.validate(); err != nil {
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

// validate rejects what cannot work or would have no effect.
func (f Fault) validate() error {
	switch f.Kind {
	case FaultReset, FaultHTML, FaultTruncate:
	case FaultDelay:
		if f.Delay <= 0 {
			return fmt.Errorf("fault: delay is %s: the kind %q needs more than 0", f.Delay, f.Kind)
		}
	case FaultStatus:
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("fault: status is %d: want 400–599", f.Status)
		}
	default:
		return fmt.Errorf("fault: kind is %q: want delay, reset, status, truncate or html", f.Kind)
	}
	if f.Kind != FaultStatus && (f.Status != 0 || f.RetryAfter != 0) {
		return fmt.Errorf("fault: status and retryAfter go with the kind \"status\" only, not with %q", f.Kind)
	}
	if f.Holds != "" && !f.After && f.Kind != FaultTruncate {
		return errors.New("fault: holds is about the answer: it goes with after and with the kind \"truncate\" only")
	}
	if f.Skip < 0 || f.Every < 0 || f.Times < 0 || f.Delay < 0 || f.RetryAfter < 0 {
		return errors.New("fault: skip, every, times, delay and retryAfter must not be negative")
	}
	return nil
}

// matches reports whether the fault selects a request whose body starts with body.
func (f Fault) matches(r *http.Request, body []byte) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, r.Method) {
		return false
	}
	if f.Path != "" && !matchPath(f.Path, r.URL.Path) {
		return false
	}
	return f.Contains == "" || bytes.Contains(body, []byte(f.Contains))
}

// matchPath reports whether s matches a pattern in which * matches any text.
func matchPath(pattern, s string) bool {
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
