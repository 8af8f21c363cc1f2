package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// checkWritable rejects an entry that could not be read back unchanged.
func checkWritable(e *Entry) error {
	if err := number.CheckDecimal(e.Total.Amount); err != nil {
		return fmt.Errorf("total: %w", err)
	}
	for _, s := range [...]string{e.OrderID, string(e.Before.Status), string(e.Before.ProvisioningStatus),
		e.Before.Message} {
		if !utf8.ValidString(s) { // the fingerprint would change
			return fmt.Errorf("%q is not UTF-8", text.Short(s))
		}
	}
	if err := checkYear(e.Before.PlacedAt, e.Before.FailedAt, e.Due); err != nil {
		return err
	}
	for i := range e.Attribution.Evidence {
		if err := checkYear(e.Attribution.Evidence[i].At); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return nil
}

// checkYear rejects times that RFC 3339 cannot represent.
func checkYear(times ...time.Time) error {
	for _, t := range times {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return fmt.Errorf("the year %d of a time is not between 0 and 9999", year)
		}
	}
	return nil
}

// checkEntry checks an entry before it is written and after it was read. previous is when the order before it was
// placed.
func checkEntry(e *Entry, previous time.Time) error {
	switch {
	case strings.TrimSpace(e.OrderID) == "":
		return errors.New("the order has no id")
	case !slices.Contains(rules.Actions(), e.Decision.Action):
		return fmt.Errorf("order %s: unknown action %q", text.Short(e.OrderID), e.Decision.Action)
	case !slices.Contains(failure.Classes(), e.Attribution.Class):
		return fmt.Errorf("order %s: unknown class %q", text.Short(e.OrderID), e.Attribution.Class)
	case !slices.Contains(failure.Verdicts(), e.Attribution.Verdict):
		return fmt.Errorf("order %s: unknown verdict %q", text.Short(e.OrderID), e.Attribution.Verdict)
	case e.Target != "" && e.Decision.Action != rules.Resubmit:
		return fmt.Errorf("order %s: has the target %q but is not to be resubmitted", text.Short(e.OrderID), e.Target)
	case !e.Due.IsZero() && e.Decision.Action != rules.Wait:
		return fmt.Errorf("order %s: is due %s but does not wait", text.Short(e.OrderID), e.Due.Format(time.RFC3339))
	}
	if sum := fingerprint(e.OrderID, &e.Before); e.Fingerprint != string(sum[:]) {
		return fmt.Errorf("order %s: the fingerprint does not match the order and its state", text.Short(e.OrderID))
	}
	return e.CheckOldestFirst(previous)
}

// CheckOldestFirst returns an error if the order was placed before previous, the time of the entry before it. Times
// are compared in whole seconds, because lists may be less precise than single orders. A zero time never fails.
func (e *Entry) CheckOldestFirst(previous time.Time) error {
	if placed := e.Before.PlacedAt; !placed.IsZero() && placed.Before(previous.Truncate(time.Second)) {
		return fmt.Errorf("order %s: was placed %s, before the previous order; orders must be sorted oldest first",
			text.Short(e.OrderID), placed.Format(time.RFC3339Nano))
	}
	return nil
}
