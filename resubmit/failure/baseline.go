package failure

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	minStep  = 5 * time.Minute // the finest resolution
	maxSteps = 4032            // 14 days of the finest steps; longer intervals have longer steps
	// maxBaseline keeps steps below half an hour, so that a window can be told from what is beside it.
	maxBaseline = 60 * 24 * time.Hour
	maxSeries   = 500 // products and sellers counted separately
)

// Baseline counts failures by time, product and vendor account, so that an [Attributor] can distinguish what fails
// all the time from what failed together in a window. It holds counts and no orders: at most about 8 MiB.
//
// It counts the failures that are still open, because a failure view lists only those. A failure counts at its own
// time if known, otherwise at the time of placing. Permanent and already provisioned failures are not counted, because
// no maintenance causes them.
//
// The product is the APS application named in the failure text (kb.cloudblue.com/pdf/en/129249). An order counts for
// its product and for the account that sold it.
//
// A Baseline is not safe for concurrent use while orders are added. Add none once it is part of an
// [AttributorConfig] or a plan.
type Baseline struct {
	from       time.Time
	step       time.Duration
	steps      int
	classifier *Classifier

	all       []uint32
	series    map[string][]uint32 // by product or seller
	counted   int
	uncounted int // outside the interval, or without a time
	beyond    int // counted in all only, because there are too many series
}

// NewBaseline returns an empty Baseline for the interval [from, to). Start a day before the first window and end a day
// after the last one. The resolution is five minutes up to 14 days, and coarser for longer intervals. An empty
// interval, or one longer than 60 days, is an error. A nil classifier means [DefaultClassifier].
func NewBaseline(from, to time.Time, c *Classifier) (*Baseline, error) {
	span := to.Sub(from)
	switch {
	case from.IsZero() || to.IsZero() || span <= 0:
		return nil, fmt.Errorf("failure: baseline: the interval from %s to %s is empty; give a start and a later end",
			stamp(from), stamp(to))
	case span > maxBaseline:
		return nil, fmt.Errorf("failure: baseline: the interval from %s to %s is longer than 60 days; stay near the windows",
			stamp(from), stamp(to))
	}
	step := max(minStep, (span/maxSteps + time.Minute - 1).Truncate(time.Minute))
	steps := int((span + step - 1) / step)
	return &Baseline{
		from: from.UTC(), step: step, steps: steps, classifier: c,
		all: make([]uint32, steps), series: map[string][]uint32{},
	}, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Add counts one failed order.
func (b *Baseline) Add(o *commerce.Order) {
	if class, _ := b.classifier.Classify(o.Failure.Message()); class == Permanent || class == AlreadyProvisioned {
		return
	}
	at := failedOrPlaced(o)
	i := b.stepOf(at)
	if at.IsZero() || i < 0 || i >= b.steps {
		b.uncounted++
		return
	}
	b.counted++
	b.all[i]++
	full := false
	for _, name := range seriesOf(o) {
		if name == "" {
			continue
		}
		counts := b.series[name]
		if counts == nil {
			if len(b.series) == maxSeries {
				full = true
				continue
			}
			counts = make([]uint32, b.steps)
			b.series[name] = counts
		}
		counts[i]++
	}
	if full {
		b.beyond++
	}
}

// failedOrPlaced returns the time of the failure, or of placing if that is unknown.
func failedOrPlaced(o *commerce.Order) time.Time {
	if o.FailedAt.IsZero() {
		return o.PlacedAt
	}
	return o.FailedAt
}

// stepOf returns the step of an instant, which may be outside the interval.
func (b *Baseline) stepOf(t time.Time) int {
	if t.Before(b.from) {
		return -1
	}
	return int(t.Sub(b.from) / b.step)
}

// seriesOf returns the product and the seller of an order, "" where unknown.
func seriesOf(o *commerce.Order) (names [2]string) {
	_, rest, _ := strings.Cut(o.Failure.Message(), "APS application '")
	if name, _, found := strings.Cut(rest, "'"); found && strings.TrimSpace(name) != "" {
		names[0] = "application '" + text.Short(strings.TrimSpace(name)) + "'"
	}
	if o.VendorAccountID != "" {
		names[1] = "seller " + text.Short(o.VendorAccountID)
	}
	return names
}

// String says how many failures were counted, and how many were not.
func (b *Baseline) String() string {
	end := b.from.Add(time.Duration(b.steps) * b.step)
	s := fmt.Sprintf("%d open failures of %d products and sellers, from %s to %s in steps of %s",
		b.counted, len(b.series), stamp(b.from), stamp(end), shortDuration(b.step))
	if b.uncounted > 0 {
		s += fmt.Sprintf("; %d more are outside this interval or have no time", b.uncounted)
	}
	if b.beyond > 0 {
		s += fmt.Sprintf("; %d of them count in the total only, because there are more than %d products and sellers",
			b.beyond, maxSeries)
	}
	return s
}

// shortDuration formats a duration without its zero parts: 2h, 1h30m, 5m.
func shortDuration(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
