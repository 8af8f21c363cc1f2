package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// zone returns the time zone for people.
func (d *Document) zone() *time.Location { return cmp.Or(d.location, time.UTC) }

// ZoneName returns the name of the time zone for people: that of the place, or of the zone if the place is not known.
func (d *Document) ZoneName() string {
	if d.Zone == time.Local.String() {
		return d.MadeAt.In(d.zone()).Format("MST")
	}
	return text.Short(d.Zone)
}

const (
	dayForm   = "2006-01-02"
	clockForm = "15:04"
	fullForm  = "2006-01-02 15:04"
)

// clock returns a time with date and zone: "2026-11-21 05:31 CET".
func (d *Document) clock(t time.Time) string { return text.Clock(t.Truncate(time.Minute), d.zone()) }

// span returns two times with their date and zone, which is named once: "2026-11-21 02:07–05:02 CET". A zero end is
// "until now".
func (d *Document) span(from, to time.Time) string {
	from, to = from.In(d.zone()), to.In(d.zone())
	first, _ := from.Zone()
	last, _ := to.Zone()
	switch {
	case to.IsZero():
		return "since " + from.Format(fullForm+" MST")
	case first != last:
		return from.Format(fullForm+" MST") + " – " + to.Format(fullForm+" MST")
	case from.Format(fullForm) == to.Format(fullForm):
		return to.Format(fullForm + " MST")
	case from.Format(dayForm) != to.Format(dayForm):
		return from.Format(fullForm) + " – " + to.Format(fullForm+" MST")
	default:
		return from.Format(fullForm) + "–" + to.Format(clockForm+" MST")
	}
}

// duration returns a duration for people: "1 h 02 min", "39 min" or "12 s".
func duration(seconds float64) string {
	s := int64(seconds + 0.5)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
	}
}

// are is the verb for a number of things.
func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// maxCurrencies is how many totals a sentence has.
const maxCurrencies = 5

// totals returns the totals of the first few currencies in a format, and how many more there are.
func (t *Tally) totals(format func(commerce.Money) string) (parts []string) {
	for _, m := range t.Money[:min(maxCurrencies, len(t.Money))] {
		parts = append(parts, format(m))
	}
	if rest := len(t.Money) - maxCurrencies; rest > 0 {
		parts = append(parts, fmt.Sprintf("and %d more currencies", rest))
	}
	return parts
}

// money returns the totals: "1012.40 USD, 310.00 EUR"; "" if there are none.
func (t *Tally) money() string {
	parts := t.totals(commerce.Money.String)
	if t.NoTotal > 0 {
		parts = append(parts, fmt.Sprintf("%d without a known total", t.NoTotal))
	}
	return strings.Join(parts, ", ")
}

// String returns "3 orders of 2 customers, 41.00 USD".
func (t Tally) String() string {
	s := text.Orders(t.Orders)
	if t.Customers > 0 {
		s += " of " + text.Count(t.Customers, "customer")
	}
	if t.NoCustomer > 0 {
		s += fmt.Sprintf(" (%d without a known one)", t.NoCustomer)
	}
	if m := t.money(); m != "" {
		s += ", " + m
	}
	return s
}

// words returns a name in camel case as words: "already provisioned".
func words[S ~string](name S) string {
	var b strings.Builder
	for _, r := range string(name) {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return text.Short(b.String())
}

// classes are the classes in the order of the chart, from the base line up.
func classes() []failure.Class {
	return []failure.Class{failure.Transient, failure.Unclassified, failure.Permanent, failure.AlreadyProvisioned}
}

// classCount is the number of orders of a class.
type classCount struct {
	Class failure.Class
	N     int
}

// byClass counts all orders by class, without empty classes.
func (d *Document) byClass() (counts []classCount) {
	for _, class := range classes() {
		for _, s := range d.Classes {
			if s.Key == string(class) {
				counts = append(counts, classCount{class, s.All.Orders})
			}
		}
	}
	return counts
}

// allVerified reports whether all orders to resubmit are completed.
func (d *Document) allVerified() bool {
	return d.Planned.Resubmit > 0 && d.Outcomes.Completed == d.Planned.Resubmit
}

// OK reports whether everything that was to be done is done: all orders to resubmit are completed, none waits, and the
// run did not end early.
func (d *Document) OK() bool {
	return d.State == StateFinished && d.Outcomes.Completed == d.Planned.Resubmit && d.Planned.Wait == 0
}

// outcomeText returns an outcome in words; "verified" for a completed order.
func outcomeText(o protocol.Outcome) string {
	if o == protocol.Completed {
		return "verified"
	}
	return words(o)
}

// grouped returns a number with thin spaces between groups of three digits, for HTML.
func grouped(n int) string { return text.Grouped(strconv.Itoa(n)) }
