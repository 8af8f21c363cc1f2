package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Values of the first line of a log.
const (
	kind    = "cloudblue-resubmit-audit"
	version = 1
)

// The events of a log.
const (
	EventLogOpened         = "opened"        // a process opened the log
	EventRecovered         = "recovered"     // an incomplete last line or head was repaired on opening
	EventLogClosed         = "closed"        // the process closed the log
	EventAct               = "act"           // a person is about to do what State says, see Log.Act
	EventPlanStarted       = "plan"          // a plan is being applied
	EventDecision          = "decision"      // the decision of the plan for one order
	EventDecisionsRecorded = "decisions-end" // all decisions of the plan were recorded
	EventIntent            = "intent"        // the journal is about to record the claim of an order
	EventRead              = "read"          // an order was read
	EventList              = "list"          // orders were listed, to verify them
	EventPush              = "push"          // the request of a push is about to be sent
	EventAnswer            = "answer"        // the result of the push with the same Call
	EventLookup            = "lookup"        // requests were looked up in Connect
	EventPaused            = "wait"          // the Runner holds pushes, for instance in a maintenance window
	EventResumed           = "resumed"       // the Runner sends pushes again
	EventRateLimit         = "pace"          // the rate limit changed
	EventControl           = "control"       // the run was paused, resumed or stopped by its caller
	EventBreaker           = "breaker"       // the state of the circuit breaker changed
	EventCanary            = "canary"        // the canary limit of a group changed
	EventProbe             = "probe"         // Connect was probed
	EventOutcome           = "outcome"       // the outcome of an order
	EventRunFinished       = "finished"      // the run has ended
)

// Line is one line of a log. Fields that do not apply to its event are empty.
type Line struct {
	N     int       `json:"n"`     // the line number, from 1
	At    time.Time `json:"at"`    // in UTC
	Who   string    `json:"who"`   // user@host program
	Event string    `json:"event"` // one of the Event constants

	Kind    string `json:"kind,omitempty"`    // of the file, in the first line
	Version int    `json:"version,omitempty"` // of the file format, in the first line
	// Previous is the head of the log before this one, in the first line, see WithPrevious.
	Previous *Head  `json:"previous,omitempty"`
	Plan     string `json:"plan,omitempty"` // the digest of the plan

	Order         string                  `json:"order,omitempty"` // the ID
	Number        string                  `json:"number,omitempty"`
	Attempt       int                     `json:"attempt,omitempty"`       // of the push, from 1
	Action        rules.Action            `json:"action,omitempty"`        // what the plan decided
	Rule          string                  `json:"rule,omitempty"`          // the id of the rule that decided
	Target        commerce.Status         `json:"target,omitempty"`        // the status to push to
	Outcome       protocol.Outcome        `json:"outcome,omitempty"`       // of the order
	Before        plan.Snapshot           `json:"before,omitzero"`         // the order in the plan
	After         plan.Snapshot           `json:"after,omitzero"`          // the order as read
	Evidence      []failure.Evidence      `json:"evidence,omitempty"`      // on which the decision is based
	Found         []string                `json:"found,omitempty"`         // requests, or listed orders
	Counts        *plan.ActionCounts      `json:"counts,omitempty"`        // of the plan
	Result        *resubmit.OutcomeCounts `json:"result,omitempty"`        // the outcomes of the run
	State         string                  `json:"state,omitempty"`         // of the breaker, run or process; the act
	By            string                  `json:"by,omitempty"`            // the person who acts
	Until         time.Time               `json:"until,omitzero"`          // when a wait ends
	Rate          float64                 `json:"rate,omitempty"`          // calls per second; -1 means no limit
	Call          int                     `json:"call,omitempty"`          // links a push and its answer
	TookMS        float64                 `json:"tookMs,omitempty"`        // milliseconds
	Why           string                  `json:"why,omitempty"`           // the reason, a sentence
	Error         string                  `json:"error,omitempty"`         // of the call
	Delivery      commerce.Delivery       `json:"delivery,omitempty"`      // of a failed push
	CorrelationID string                  `json:"correlationId,omitempty"` // for support requests

	Hash string `json:"hash"`
}

const (
	hashStart = `,"hash":"`
	hashSize  = 2 * sha256.Size
	maxLine   = 16 << 20
	maxText   = 8 << 10 // of an error
)

// chain is the number and the hash of the last line of a log.
type chain struct {
	n    int
	hash [sha256.Size]byte
}

// append encodes the next line and advances.
func (c *chain) append(l Line) ([]byte, error) {
	l.N = c.n + 1
	l.Hash = ""
	l.Error = text.Excerpt(l.Error, maxText)
	data, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", l.N, err)
	}
	data = text.EscapeJSON(data)
	data = data[:len(data)-len(hashStart)-len(`"}`)]
	if len(data) > maxLine-2*hashSize {
		return nil, fmt.Errorf("line %d has %d bytes, too many", l.N, len(data))
	}
	c.hash, c.n = c.next(data), l.N
	data = append(data, hashStart...)
	data = hex.AppendEncode(data, c.hash[:])
	return append(data, '"', '}', '\n'), nil
}

// next returns the hash of a line without its hash field.
func (c *chain) next(data []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = h.Write(c.hash[:]) // a hash never fails
	_, _ = h.Write(data)
	h.Sum(sum[:0])
	return sum
}

// follow checks that a line without its newline is the next one, and advances.
func (c *chain) follow(line []byte) error {
	n := c.n + 1
	start := len(line) - len(hashStart) - hashSize - len(`"}`)
	if start < 0 || string(line[start:start+len(hashStart)]) != hashStart || string(line[len(line)-2:]) != `"}` {
		return fmt.Errorf("line %d is not a log line or was edited: it does not end in a hash", n)
	}
	if found, ok := numberOf(line); !ok {
		return fmt.Errorf("line %d is not a log line or was edited: it does not begin with its number", n)
	} else if found != n {
		return fmt.Errorf("line %d has the number %d: lines were removed, inserted or moved", n, found)
	}
	sum := c.next(line[:start])
	if hex.EncodeToString(sum[:]) != string(line[start+len(hashStart):len(line)-2]) {
		return fmt.Errorf("line %d was edited or does not follow the line before: wrong hash", n)
	}
	c.hash, c.n = sum, n
	return nil
}

// numberOf reads the line number.
func numberOf(line []byte) (int, bool) {
	const start = `{"n":`
	if len(line) < len(start) || string(line[:len(start)]) != start {
		return 0, false
	}
	end := len(start)
	for end < len(line) && line[end] >= '0' && line[end] <= '9' {
		end++
	}
	n, err := number.Atoi(string(line[len(start):end]))
	return n, err == nil
}
