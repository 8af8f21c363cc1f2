package failure

import "time"

// Class says whether resubmitting can help an order that failed with a certain text.
type Class string

// The classes.
const (
	// Unclassified is the class of a text that no pattern matches, and of an empty text.
	Unclassified Class = "unclassified"
	// Transient is the class of failed communication between systems, which resubmitting can solve.
	Transient Class = "transient"
	// Permanent is the class of failures that will happen again if the order is resubmitted.
	Permanent Class = "permanent"
	// AlreadyProvisioned is the class of orders whose service exists although Commerce shows them as failed.
	AlreadyProvisioned Class = "alreadyProvisioned"
)

// Classes returns all classes.
func Classes() []Class { return []Class{Transient, Permanent, AlreadyProvisioned, Unclassified} }

// Verdict says whether a maintenance caused a failure.
type Verdict string

// The verdicts.
const (
	// Caused means that a maintenance caused the failure: its time and its text fit a window.
	Caused Verdict = "caused"
	// Likely means that a window is a probable cause, but the time or the reason is uncertain.
	Likely Verdict = "likely"
	// Unrelated means that the time or the reason rules out every window.
	Unrelated Verdict = "unrelated"
	// UnknownCause means that there is too little information.
	UnknownCause Verdict = "unknown"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Caused, Likely, Unrelated, UnknownCause} }

// Evidence is one observation on which a verdict or a decision is based.
type Evidence struct {
	// Kind is what was observed: "reason" (the failure text), "time" (of the failure or of placing), "window",
	// "rate" (how many orders failed when), "request" (in Connect), "operator" (named the order) or "order" (a part
	// that could not be read). Reports also use "push" and "journal".
	Kind string `json:"kind"`
	// Text is a short sentence for people.
	Text string `json:"text"`
	// Ref is the id of the window, request or pattern that Text refers to, if any.
	Ref string `json:"ref,omitempty"`
	// At is the time of the observation in UTC; zero if it has none.
	At time.Time `json:"at,omitzero"`
}

// Attribution is the probable cause of an order's failure.
type Attribution struct {
	Verdict Verdict `json:"verdict"`
	Class   Class   `json:"class"` // of the failure text
	// WindowID is the id of the window that is the cause; empty unless Verdict is Caused or Likely.
	WindowID string     `json:"window,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}
