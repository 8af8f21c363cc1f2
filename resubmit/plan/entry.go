package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Header opens a plan: what was asked for, and under which conditions.
type Header struct {
	Kind      string    `json:"kind"`    // "cloudblue-resubmit-plan"
	Version   int       `json:"version"` // 2
	CreatedAt time.Time `json:"createdAt"`
	// System is the system that the orders are in, for example "ordermanager
	// https://mn.example.net:6308". A plan is applied to no other one, see
	// ErrSystemMismatch. "" when nobody named it, and in plans of version 1.
	System string `json:"system,omitempty"`
	// View is the name of the failure view that was listed.
	View string `json:"view"`
	// Filter is the text form of the filter.
	Filter string `json:"filter"`
	// Windows and Recurring are the calendar that failures were held against: its
	// single windows and its weekly rules, without margins. A window named in an
	// entry is one of them or an occurrence of a rule, "<rule id>@<date>".
	Windows   []maintenance.Window `json:"windows"`
	Recurring []maintenance.Weekly `json:"recurring,omitempty"`
	// Rules are the user's rules, which come before the defaults.
	Rules []rules.Rule `json:"rules,omitempty"`
}

// Calendar is the calendar of the plan. It holds against the future too, so that
// nothing is pushed in a later window. It needs the time zone data of the zones
// that the weekly rules name.
func (h Header) Calendar() (*maintenance.Calendar, error) {
	c, err := maintenance.NewCalendar(h.Windows, h.Recurring...)
	if err != nil {
		return nil, fmt.Errorf("resubmit: the windows of the plan: %w", err)
	}
	return c, nil
}

// Entry is one order of a plan.
type Entry struct {
	OrderID       string             `json:"id"`
	Number        string             `json:"number"`
	Type          commerce.OrderType `json:"type"`
	VendorID      string             `json:"vendor,omitempty"`
	Channel       commerce.Channel   `json:"channel,omitempty"`
	Customer      string             `json:"customer,omitempty"` // "name (id)", or the one that is known
	CustomerID    string             `json:"customerId,omitempty"`
	Subscriptions []string           `json:"subscriptions,omitempty"`
	TenantID      string             `json:"tenant,omitempty"`
	Total         commerce.Money     `json:"total,omitzero"`
	// Before is the state that the decision was made for. Apply sends nothing
	// unless the order is still in it, and is still the one with this number, type, vendor
	// and customer. A customer is compared by id, and by name only where one side tells no
	// id, as a name may change.
	Before Snapshot `json:"before"`
	// Fingerprint names the failure: a hash over OrderID and Before.
	Fingerprint string              `json:"fingerprint"`
	Attribution failure.Attribution `json:"attribution"`
	Decision    rules.Decision      `json:"decision"`
	// Target is the transition to take, chosen again when the order is re-read.
	// Empty unless the action is Resubmit and the order told its transitions.
	Target commerce.Status `json:"target,omitempty"`
}

// Label returns what people call the order: its number, or its id if it has none.
func (e *Entry) Label() string {
	if e.Number != "" {
		return e.Number
	}
	return e.OrderID
}

// State is what of an order must not have changed between plan and push.
type Snapshot struct {
	Status             commerce.Status             `json:"status"`
	ProvisioningStatus commerce.ProvisioningStatus `json:"provisioningStatus,omitempty"`
	// Reason is the failure message. Of one with more than 64 KiB it is the start, then how
	// many bytes there are and their SHA-256.
	Reason   string    `json:"reason,omitempty"`
	PlacedAt time.Time `json:"placedAt,omitzero"`
	FailedAt time.Time `json:"failedAt,omitzero"`
}

// SnapshotOf takes the state out of an order: its times in UTC, and its failure
// message as valid UTF-8 and not longer than [Snapshot] says, so that it is the same
// before and after a plan file.
func SnapshotOf(o *commerce.Order) Snapshot {
	return Snapshot{
		Status:             o.Status,
		ProvisioningStatus: o.ProvisioningStatus,
		Reason:             reasonOf(o.Failure.Message()),
		PlacedAt:           o.PlacedAt.Round(0).UTC(),
		FailedAt:           o.FailedAt.Round(0).UTC(),
	}
}

// maxReason is the most bytes of a failure message that a state keeps.
const maxReason = 64 << 10

// reasonOf is a failure message as a state keeps it. The hash of a long one tells it
// from others that begin in the same way.
func reasonOf(message string) string {
	start := strings.ToValidUTF8(message[:min(len(message), maxReason)], "\uFFFD")
	if len(message) <= maxReason {
		return start
	}
	return fmt.Sprintf("%s… (%d bytes, SHA-256 %x)", start, len(message), sha256.Sum256([]byte(message)))
}

// Diff says what changed from s to now, for instance "status PF → CP"; "" when
// nothing did. A provisioning status or a time counts only where both states
// tell it, because a list and a reading need not tell the same. The failure
// message always counts: a plan that was made without it was made for less than
// is known now.
func (s Snapshot) Diff(now Snapshot) string {
	var changes []string
	if s.Status != now.Status {
		changes = append(changes, fmt.Sprintf("status %s → %s", text.Short(string(s.Status)), text.Short(string(now.Status))))
	}
	if a, b := s.ProvisioningStatus, now.ProvisioningStatus; a != b && a != "" && b != "" {
		changes = append(changes, fmt.Sprintf("provisioning status %s → %s", text.Short(string(a)), text.Short(string(b))))
	}
	if was, is := text.Short(s.Reason), text.Short(now.Reason); s.Reason != now.Reason {
		if was == is {
			is = "another one that begins with the same words"
		}
		changes = append(changes, fmt.Sprintf("failure %q → %q", was, is))
	}
	for _, t := range []struct {
		name     string
		was, now time.Time
	}{{"placed", s.PlacedAt, now.PlacedAt}, {"failed", s.FailedAt, now.FailedAt}} {
		if !t.was.IsZero() && !t.now.IsZero() && !t.was.Equal(t.now) {
			changes = append(changes, fmt.Sprintf("%s %s → %s", t.name,
				t.was.UTC().Format(time.RFC3339Nano), t.now.UTC().Format(time.RFC3339Nano)))
		}
	}
	return strings.Join(changes, "; ")
}

// Fingerprint names one failure of one order: 32 hexadecimal digits, the start
// of a SHA-256 over the order's id and its state. Equal states at equal instants
// have equal fingerprints, in whatever zone the times are kept.
func Fingerprint(orderID string, s Snapshot) string {
	sum := fingerprint(orderID, &s)
	return string(sum[:])
}

func fingerprint(orderID string, s *Snapshot) (name [32]byte) {
	buf := make([]byte, 0, 512)
	for _, field := range [...]string{orderID, string(s.Status), string(s.ProvisioningStatus), s.Reason} {
		// The length keeps "ab","c" apart from "a","bc".
		buf = binary.AppendUvarint(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	for _, t := range [...]time.Time{s.PlacedAt, s.FailedAt} {
		buf = binary.AppendVarint(buf, t.Unix())
		buf = binary.AppendVarint(buf, int64(t.Nanosecond()))
	}
	sum := sha256.Sum256(buf)
	hex.Encode(name[:], sum[:16])
	return name
}

// Counts counts the orders of a plan by action. The actions sum to Total.
type ActionCounts struct {
	Total      int `json:"total"`
	Resubmit   int `json:"resubmit"`
	Wait       int `json:"wait"`
	Hold       int `json:"hold"`
	Quarantine int `json:"quarantine"`
	Complete   int `json:"complete"`
	Manual     int `json:"manual"`
	// Mismatched counts the rows that the source listed although they do not match the
	// query. They are not in the plan and not in Total. Plan.Mismatched names some of them.
	Mismatched int `json:"mismatched,omitempty"`
}

// String is one line, such as "198 orders, resubmit 155, hold 6, quarantine 37; 2 rows did
// not match the query".
func (c ActionCounts) String() string {
	s := text.Orders(c.Total)
	for _, part := range []struct {
		n    int
		what rules.Action
	}{
		{c.Resubmit, rules.Resubmit}, {c.Wait, rules.Wait}, {c.Hold, rules.Hold},
		{c.Quarantine, rules.Quarantine}, {c.Complete, rules.Complete}, {c.Manual, rules.Manual},
	} {
		if part.n > 0 {
			s += fmt.Sprintf(", %s %d", part.what, part.n)
		}
	}
	if c.Mismatched > 0 {
		s += "; " + mismatch.Text(c.Mismatched, nil)
	}
	return s
}

// add counts one order. The action is one of the six: checkEntry has seen to it.
func (c *ActionCounts) add(a rules.Action) {
	switch a {
	case rules.Resubmit:
		c.Resubmit++
	case rules.Wait:
		c.Wait++
	case rules.Hold:
		c.Hold++
	case rules.Quarantine:
		c.Quarantine++
	case rules.Complete:
		c.Complete++
	case rules.Manual:
		c.Manual++
	}
	c.Total++
}

// sum adds the counts of a part.
func (c *ActionCounts) sum(part ActionCounts) {
	c.Resubmit += part.Resubmit
	c.Wait += part.Wait
	c.Hold += part.Hold
	c.Quarantine += part.Quarantine
	c.Complete += part.Complete
	c.Manual += part.Manual
	c.Total += part.Total
}
