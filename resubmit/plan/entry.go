package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Header is the first line of a plan: the conditions under which it was made.
type Header struct {
	// Kind is "cloudblue-resubmit-plan". [NewWriter] sets it.
	Kind string `json:"kind"`
	// Version is the version of the file format, 3. [NewWriter] sets it.
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	// System identifies the installation of Commerce, for example "ordermanager https://mn.example.net:6308". A plan can
	// be applied only to the same system, see [Plan.CheckSystem]. Empty if unknown, and in plans of version 1.
	System string `json:"system,omitempty"`
	// View is the name of the commerce.View that was listed.
	View string `json:"view"`
	// Filter is the text form of the filter.
	Filter string `json:"filter"`
	// Windows and Weekly are the maintenance windows and weekly rules, without margins. Attributions refer to a
	// window's id, or to "<rule id>@<date>" for an occurrence of a weekly rule.
	Windows []maintenance.Window `json:"windows"`
	Weekly  []maintenance.Weekly `json:"recurring,omitempty"`
	// Rules are the user's rules.
	Rules []rules.Rule `json:"rules,omitempty"`
	// Policy is the policy of the planner, a protocol.Policy as JSON. A run must have the same one.
	Policy json.RawMessage `json:"policy,omitempty"`
	// Journal is the position of the journal on which the decisions are based. A run needs this journal, at this
	// position or behind it. Zero in plans of versions 1 and 2, see [Plan.CheckJournal].
	Journal Position `json:"journal,omitzero"`
}

// Position is a position in a journal. A journal knows its own earlier positions, so that another journal, or an older
// copy, is found out.
type Position struct {
	// Journal is the identity of the journal.
	Journal string `json:"id"`
	// Sequence is the number of the last write.
	Sequence uint64 `json:"sequence"`
	// Hash is that of all writes up to it.
	Hash string `json:"hash"`
}

// Calendar returns the calendar of the plan, for checking past failures and future pushes. It returns an error if the
// time zone data for a weekly rule is missing.
func (h Header) Calendar() (*maintenance.Calendar, error) {
	c, err := maintenance.NewCalendar(h.Windows, h.Weekly...)
	if err != nil {
		return nil, fmt.Errorf("plan: windows: %w", err)
	}
	return c, nil
}

// Entry is the decision for one order.
type Entry struct {
	OrderID         string             `json:"id"`
	Number          string             `json:"number"`
	Type            commerce.OrderType `json:"type"`
	VendorAccountID string             `json:"vendor,omitempty"`
	Channel         commerce.Channel   `json:"channel,omitempty"`
	// Customer is "name (id)", or the part that is known.
	Customer      string         `json:"customer,omitempty"`
	CustomerID    string         `json:"customerId,omitempty"`
	Subscriptions []string       `json:"subscriptions,omitempty"`
	TenantID      string         `json:"tenant,omitempty"`
	Total         commerce.Money `json:"total,omitzero"`
	// Before is the order when the plan was made. A run skips an order that differs from it, or whose number, type,
	// vendor or customer has changed. Customers are compared by id, and by name only if an id is missing, because names
	// may change.
	Before Snapshot `json:"before"`
	// Fingerprint identifies the failure, see [Fingerprint].
	Fingerprint string              `json:"fingerprint"`
	Attribution failure.Attribution `json:"attribution"`
	Decision    rules.Decision      `json:"decision"`
	// Target is the status to move the order to. It is chosen again when the order is read before the push. Empty unless
	// the action is Resubmit and the order listed its transitions.
	Target commerce.Status `json:"target,omitempty"`
	// Version is that of the order's record in the journal when the plan was made; 0 if there was none. A claim names
	// it, so that two plans cannot both push the order.
	Version uint64 `json:"version,omitempty"`
	// Named means that the operator named the order, to be resubmitted in spite of its history, see
	// resubmit.PlanConfig.Override.
	Named bool `json:"named,omitempty"`
	// Due is when the wait is over, so that a new plan can decide again. Zero if that is not known, and unless the
	// action is Wait.
	Due time.Time `json:"due,omitzero"`
}

// Lanes returns what only one order at a time may use: its subscriptions and its tenant, in lower case, because ids
// that differ only in letter case may be the same. Order Management may not
// return the subscription (not known, commerce/WIRE.md#2.4), so an order that is no purchase and has none shares a
// lane with the others of its customer.
func (e *Entry) Lanes() []string {
	lanes := make([]string, 0, len(e.Subscriptions)+1)
	for _, id := range e.Subscriptions {
		lanes = append(lanes, "subscription "+id)
	}
	if e.TenantID != "" {
		lanes = append(lanes, "tenant "+e.TenantID)
	}
	if len(lanes) == 0 && e.Type != commerce.TypeSales && e.Customer != "" {
		lanes = append(lanes, "customer "+e.VendorAccountID+" "+e.Customer)
	}
	for i, lane := range lanes {
		lanes[i] = strings.ToLower(lane)
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// Label returns the number of the order, or its id if it has no number.
func (e *Entry) Label() string {
	if e.Number != "" {
		return e.Number
	}
	return e.OrderID
}

// Snapshot is the part of an order that must not change between the plan and the push.
type Snapshot struct {
	Status             commerce.Status             `json:"status"`
	ProvisioningStatus commerce.ProvisioningStatus `json:"provisioningStatus,omitempty"`
	// Message is the failure text. Of a text above 64 KiB it is the start, its length and its SHA-256.
	Message  string    `json:"reason,omitempty"`
	PlacedAt time.Time `json:"placedAt,omitzero"`
	FailedAt time.Time `json:"failedAt,omitzero"`
}

// SnapshotOf returns the snapshot of an order, with times in UTC and the failure text as valid UTF-8 of limited
// length, so that writing and reading a plan does not change it.
func SnapshotOf(o *commerce.Order) Snapshot {
	return Snapshot{
		Status:             o.Status,
		ProvisioningStatus: o.ProvisioningStatus,
		Message:            reasonOf(o.Failure.Message()),
		PlacedAt:           o.PlacedAt.Round(0).UTC(),
		FailedAt:           o.FailedAt.Round(0).UTC(),
	}
}

// maxReason is the number of bytes from which a failure text is shortened.
const maxReason = 64 << 10

// reasonOf returns the failure text of a snapshot. The hash distinguishes long texts that start in the same way.
func reasonOf(message string) string {
	start := strings.ToValidUTF8(message[:min(len(message), maxReason)], "\uFFFD")
	if len(message) <= maxReason {
		return start
	}
	return fmt.Sprintf("%s… (%d bytes, SHA-256 %x)", start, len(message), sha256.Sum256([]byte(message)))
}

// Diff describes the changes from s to now, such as "status PF → CP"; "" if there are none. The provisioning status and
// the times are compared only if both are known, because lists may omit them. The failure text is always compared.
func (s Snapshot) Diff(now Snapshot) string {
	var changes []string
	if s.Status != now.Status {
		changes = append(changes, fmt.Sprintf("status %s → %s", text.Short(string(s.Status)), text.Short(string(now.Status))))
	}
	if a, b := s.ProvisioningStatus, now.ProvisioningStatus; a != b && a != "" && b != "" {
		changes = append(changes, fmt.Sprintf("provisioning status %s → %s", text.Short(string(a)), text.Short(string(b))))
	}
	if was, is := text.Short(s.Message), text.Short(now.Message); s.Message != now.Message {
		if was == is {
			is = "another one that starts with the same words"
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

// Fingerprint identifies one failure of one order: the first 32 hexadecimal digits of a SHA-256 of the order's id and
// its snapshot. It does not depend on the time zone of the times.
func Fingerprint(orderID string, s Snapshot) string {
	sum := fingerprint(orderID, &s)
	return string(sum[:])
}

func fingerprint(orderID string, s *Snapshot) (digits [32]byte) {
	buf := make([]byte, 0, 512)
	for _, field := range [...]string{orderID, string(s.Status), string(s.ProvisioningStatus), s.Message} {
		// With its length, so that "ab","c" differs from "a","bc".
		buf = binary.AppendUvarint(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	for _, t := range [...]time.Time{s.PlacedAt, s.FailedAt} {
		buf = binary.AppendVarint(buf, t.Unix())
		buf = binary.AppendVarint(buf, int64(t.Nanosecond()))
	}
	sum := sha256.Sum256(buf)
	hex.Encode(digits[:], sum[:16])
	return digits
}

// ActionCounts has the number of orders of a plan by action. The actions add up to Total.
type ActionCounts struct {
	Total      int `json:"total"`
	Resubmit   int `json:"resubmit"`
	Wait       int `json:"wait"`
	Hold       int `json:"hold"`
	Quarantine int `json:"quarantine"`
	Complete   int `json:"complete"`
	Manual     int `json:"manual"`
	// Mismatched is the number of rows that the server listed although they do not match the query. They are not part of
	// the plan or of Total. [Plan.Mismatched] describes some of them.
	Mismatched int `json:"mismatched,omitempty"`
}

// String returns one line, such as "198 orders, resubmit 155, hold 6, quarantine 37; 2 rows did not match the query".
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

// add counts one order, whose action checkEntry has checked.
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
