package resubmit

import "time"

// Class is what the reason of a failure means for sending the order again.
type Class string

const (
	// Unclassified is a reason that no pattern knows, or none at all.
	Unclassified Class = "unclassified"
	// Transient means: something between the systems did not answer. Sending again can help.
	Transient Class = "transient"
	// Permanent means: somebody said no. Sending again fails again.
	Permanent Class = "permanent"
	// AlreadyProvisioned means: the customer has the service, Commerce lost track.
	AlreadyProvisioned Class = "alreadyProvisioned"
)

// Verdict says whether a maintenance caused a failure.
type Verdict string

const (
	// Caused means: the failure falls in a window and its reason fits.
	Caused Verdict = "caused"
	// Likely means: either of these is not certain.
	Likely Verdict = "likely"
	// Unrelated means: the time or the reason speaks against it.
	Unrelated Verdict = "unrelated"
	// UnknownCause means: there is too little to tell.
	UnknownCause Verdict = "unknown"
)

// Action is what to do with a failed order.
type Action string

const (
	// Resubmit sends the order again.
	Resubmit Action = "resubmit"
	// Wait leaves it for now: something is under way, or too young.
	Wait Action = "wait"
	// Hold leaves it until what is unknown is known.
	Hold Action = "hold"
	// Quarantine keeps it from ever being sent again: it needs a new order or support.
	Quarantine Action = "quarantine"
	// Complete proposes to complete the order by hand; nothing here does it.
	Complete Action = "complete"
	// Manual needs a person.
	Manual Action = "manual"
)

// Evidence is one observation behind a verdict or decision, as a short sentence
// with its data.
type Evidence struct {
	// Kind is "reason", "time", "window", "request" or "operator", or "order" for what
	// of the order could not be read; in a report also "push" or "journal".
	Kind string `json:"kind"`
	// Text is the sentence.
	Text string `json:"text"`
	// Ref is what the sentence speaks of: a window id, a request id, a pattern.
	Ref string `json:"ref,omitempty"`
	// At is when it happened; zero when time does not matter.
	At time.Time `json:"at,omitzero"`
}

// Attribution is why an order failed, as far as can be told.
type Attribution struct {
	Verdict  Verdict    `json:"verdict"`
	Class    Class      `json:"class"`
	WindowID string     `json:"window,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Decision is what a rule says to do with an order.
type Decision struct {
	Action Action `json:"action"`
	RuleID string `json:"rule"`
	Why    string `json:"why"`
	// Flagged asks a person to look although the action goes ahead.
	Flagged bool `json:"flagged,omitempty"`
}
