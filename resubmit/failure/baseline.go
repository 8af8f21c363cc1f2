package failure

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	// ratesStep is the finest time that failures are counted by.
	ratesStep = 5 * time.Minute
	// ratesSteps is into how many steps the time is divided at most; longer times
	// have longer steps.
	ratesSteps = 4032 // 14 days
	// ratesLongest keeps the steps shorter than half an hour, so that they still tell
	// a window from what is beside it.
	ratesLongest = 60 * 24 * time.Hour
	// ratesGroups is how many products and sellers are counted apart.
	ratesGroups = 500
)

// Rates counts failures by time, product and seller: what "fails all the time" and
// "all failed together" are told from. It holds counts and no orders: some 8 MiB at
// the most, however many orders there are.
//
// It counts failures that are still open, since that is what a failure view
// holds: an order that failed and was resubmitted since is not in it. A failure
// counts at its time where that is known, else at the time of placing. Those with a
// permanent reason, or whose service exists already, are left out: no maintenance
// causes them.
//
// The product is what the text of the failure names as the APS application
// (kb.cloudblue.com/pdf/en/129249); an order counts for it and for the account that
// sold it.
//
// Rates is for one goroutine, until it is given to an Attributor or a plan; add
// nothing after that.
type Baseline struct {
	from       time.Time
	step       time.Duration
	steps      int
	classifier *Classifier

	all     []uint32
	groups  map[string][]uint32
	counted int
	outside int // of the time, or without one
	beyond  int // of the groups: counted among all only
}

// NewBaseline makes empty rates for [from, to): take in a day before the first window
// and a day after the last one. Up to 14 days are counted in steps of five
// minutes, longer times in longer steps, and 60 days are the longest. A nil
// classifier is the default one.
func NewBaseline(from, to time.Time, c *Classifier) (*Baseline, error) {
	span := to.Sub(from)
	switch {
	case from.IsZero() || to.IsZero() || span <= 0:
		return nil, fmt.Errorf("resubmit: rates: from %s to %s is no time to count in; give both, the later one last",
			stampOf(from), stampOf(to))
	case span > ratesLongest:
		return nil, fmt.Errorf("resubmit: rates: from %s to %s is longer than 60 days; count around the windows only",
			stampOf(from), stampOf(to))
	}
	step := max(ratesStep, (span/ratesSteps + time.Minute - 1).Truncate(time.Minute))
	steps := int((span + step - 1) / step)
	return &Baseline{
		from: from.UTC(), step: step, steps: steps, classifier: c,
		all: make([]uint32, steps), groups: map[string][]uint32{},
	}, nil
}

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Add counts one failed order.
func (r *Baseline) Add(o *commerce.Order) {
	text := o.Failure.Message()
	if class, _ := r.classifier.Classify(text); class == Permanent || class == AlreadyProvisioned {
		return
	}
	at := failedOrPlaced(o)
	i := r.stepOf(at)
	if at.IsZero() || i < 0 || i >= r.steps {
		r.outside++
		return
	}
	r.counted++
	r.all[i]++
	left := false
	for _, name := range groupsOf(o, text) {
		if name == "" {
			continue
		}
		counts, ok := r.groups[name]
		if !ok {
			if len(r.groups) == ratesGroups {
				left = true
				continue
			}
			counts = make([]uint32, r.steps)
			r.groups[name] = counts
		}
		counts[i]++
	}
	if left {
		r.beyond++
	}
}

// failedOrPlaced is the time of the failure, or of placing where that is not told.
func failedOrPlaced(o *commerce.Order) time.Time {
	if o.FailedAt.IsZero() {
		return o.PlacedAt
	}
	return o.FailedAt
}

// stepOf is the step that an instant is in, which may be none of the counted ones.
func (r *Baseline) stepOf(t time.Time) int {
	d := t.Sub(r.from)
	if d < 0 {
		return -1
	}
	return int(d / r.step)
}

// groupsOf are the product and the seller of an order, "" where they are not told.
func groupsOf(o *commerce.Order, said string) [2]string {
	var groups [2]string
	if name := application(said); name != "" {
		groups[0] = "application '" + text.Short(name) + "'"
	}
	if o.VendorID != "" {
		groups[1] = "seller " + text.Short(o.VendorID)
	}
	return groups
}

// application is the APS application that the text of a failure names.
func application(text string) string {
	_, rest, _ := strings.Cut(text, "APS application '")
	name, _, found := strings.Cut(rest, "'")
	if !found {
		return ""
	}
	return strings.TrimSpace(name)
}

// String says what was counted, and what was not.
func (r *Baseline) String() string {
	text := fmt.Sprintf("%d failures still open of %d products and sellers, from %s to %s in steps of %s",
		r.counted, len(r.groups), stampOf(r.from), stampOf(r.from.Add(time.Duration(r.steps)*r.step)), shortly(r.step))
	if r.outside > 0 {
		text += fmt.Sprintf("; %d more are of another time or tell none", r.outside)
	}
	if r.beyond > 0 {
		text += fmt.Sprintf("; %d of them are counted among all only, as %d products and sellers are counted apart at most",
			r.beyond, ratesGroups)
	}
	return text
}

// shortly writes a duration without its zero parts: 2h, 1h30m, 5m.
func shortly(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
