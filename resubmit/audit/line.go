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
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// What the first line of a log says it is.
const (
	kind    = "cloudblue-resubmit-audit"
	version = 1
)

// The events of a log.
const (
	EventOpened       = "opened"   // somebody began to write; the first line of a log
	EventRecovered    = "mended"   // the line before was torn by a crash
	EventClosed       = "closed"   // the writer ended well
	EventPlan         = "plan"     // a plan is applied
	EventDecision     = "decision" // what the plan says of an order
	EventDecisionsEnd = "decided"  // these were all decisions of the plan
	EventIntent       = "intent"   // an order is about to be pushed
	EventRead         = "read"     // an order was read
	EventPush         = "push"     // a push goes out
	EventAnswer       = "answer"   // the push of the same call was answered, or not
	EventLookup       = "look-up"  // requests were looked up in Connect
	EventWait         = "wait"     // pushes wait
	EventResumed      = "go on"    // pushes go on
	EventPace         = "pace"     // the pace changed
	EventControl      = "control"  // the run was told to do something
	EventBreaker      = "breaker"  // the breaker opened, tries or closed
	EventCanary       = "canary"   // a group of orders was let go further, or stopped
	EventProbe        = "probe"    // Connect was looked at
	EventOutcome      = "outcome"  // what came of an order
	EventFinished     = "finished" // the run is over
)

// Line is one line of a log. Fields that do not belong to its event are empty.
type Line struct {
	N     int       `json:"n"`
	At    time.Time `json:"at"`
	Who   string    `json:"who"`
	Event string    `json:"event"`

	Kind    string `json:"kind,omitempty"`
	Version int    `json:"version,omitempty"`
	Plan    string `json:"plan,omitempty"`

	Order   string                  `json:"order,omitempty"` // the id
	Number  string                  `json:"number,omitempty"`
	Attempt int                     `json:"attempt,omitempty"`
	Action  rules.Action            `json:"action,omitempty"`
	Rule    string                  `json:"rule,omitempty"`
	Target  commerce.Status         `json:"target,omitempty"`
	Outcome resubmit.Outcome        `json:"outcome,omitempty"`
	Before  plan.Snapshot           `json:"before,omitzero"`
	After   plan.Snapshot           `json:"after,omitzero"`
	Because []failure.Evidence      `json:"evidence,omitempty"`
	Found   []string                `json:"found,omitempty"` // requests, as "PR-1 approved"
	Counts  *plan.ActionCounts      `json:"counts,omitempty"`
	Result  *resubmit.OutcomeCounts `json:"result,omitempty"`
	State   string                  `json:"state,omitempty"`
	Until   time.Time               `json:"until,omitzero"`
	Rate    float64                 `json:"rate,omitempty"` // calls a second; -1 is no limit
	Call    int                     `json:"call,omitempty"` // the same for a push and its answer
	Took    float64                 `json:"tookMs,omitempty"`
	Why     string                  `json:"why,omitempty"`
	Error   string                  `json:"error,omitempty"`
	Status  commerce.Delivery       `json:"delivery,omitempty"`
	// Correlation is what support asks for.
	Correlation string `json:"correlationId,omitempty"`

	Hash string `json:"hash"`
}

const (
	hashStart = `,"hash":"`
	hashSize  = 2 * sha256.Size
	maxLine   = 16 << 20
	maxText   = 8 << 10 // of an error
)

// chain is the state of a log: how many lines it has, and the hash of the last.
type chain struct {
	n    int
	hash [sha256.Size]byte
}

// append makes the next line, and moves on.
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
		return nil, fmt.Errorf("line %d has %d bytes, more than a line may have", l.N, len(data))
	}
	c.hash, c.n = c.next(data), l.N
	data = append(data, hashStart...)
	data = hex.AppendEncode(data, c.hash[:])
	return append(data, '"', '}', '\n'), nil
}

// next is the hash of a line whose hash is left out.
func (c *chain) next(data []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = h.Write(c.hash[:]) // a hash never fails
	_, _ = h.Write(data)
	h.Sum(sum[:0])
	return sum
}

// follow checks that a line, without its end, is the next one, and moves on.
func (c *chain) follow(line []byte) error {
	n := c.n + 1
	start := len(line) - len(hashStart) - hashSize - len(`"}`)
	if start < 0 || string(line[start:start+len(hashStart)]) != hashStart || string(line[len(line)-2:]) != `"}` {
		return fmt.Errorf("line %d is no line of a log, or was edited: it does not end in a hash", n)
	}
	if said, ok := numberOf(line); !ok {
		return fmt.Errorf("line %d is no line of a log, or was edited: it does not begin with its number", n)
	} else if said != n {
		return fmt.Errorf("line %d says that it is line %d: lines were removed, put in or moved here", n, said)
	}
	sum := c.next(line[:start])
	if hex.EncodeToString(sum[:]) != string(line[start+len(hashStart):len(line)-2]) {
		return fmt.Errorf("line %d was edited, or does not follow on the line before it: its hash does not fit", n)
	}
	c.hash, c.n = sum, n
	return nil
}

// numberOf reads the number that a line begins with.
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
