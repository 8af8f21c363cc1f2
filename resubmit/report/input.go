package report

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Input is what [New] makes a document of. Only Plan is required.
type Input struct {
	// Plan is read once, by New; it can be closed afterwards.
	Plan *plan.Plan
	// Report is the result of applying the plan. Nil: it was not applied yet. For a run that is still going on it is a
	// report with the items so far and no FinishedAt.
	Report *resubmit.Report
	// Observed are the times in which Connect was seen down, such as those of an availability.Tracker.
	Observed []maintenance.Window
	// Marks are the events that the chart shows besides orders.
	Marks []Mark
	// Location is the time zone of everything that people read. Nil: UTC.
	Location *time.Location
	// Command is how the commands in Document.Next start, such as "aftermaintenance -state /var/lib/recovery". Empty:
	// there are none.
	Command string
	// Audit is the head of the audit log of the run. Optional.
	Audit string
	// OmitItems leaves the single orders out. Then the document needs little memory, and has no CSV.
	OmitItems bool
	// Now is when the document is made. Zero: time.Now().
	Now time.Time
}

// Mark is something that happened during a run.
type Mark struct {
	At time.Time `json:"at"`
	// Stopped means that it stopped orders: a canary or the circuit breaker. Otherwise it let more of them through.
	Stopped bool `json:"stopped,omitempty"`
	// Text is a short sentence, such as "canary: 2 of 2 orders of Acme are verified".
	Text string `json:"text"`
}
