package failure

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
