package rules

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

// Actions returns all actions.
func Actions() []Action { return []Action{Resubmit, Wait, Hold, Quarantine, Complete, Manual} }

// Decision is what a rule says to do with an order.
type Decision struct {
	Action Action `json:"action"`
	RuleID string `json:"rule"`
	Why    string `json:"why"`
	// Flagged asks a person to look although the action goes ahead.
	Flagged bool `json:"flagged,omitempty"`
}
