package availability

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// shortest is how long an outage lasts at least: looks are not closer together.
const shortest = time.Second

// maxSaid bounds what is kept of an error, in bytes.
const maxSaid = 300

// Outage is a time in which looks found Connect not up. It really began between LastUp
// and First, and ended between Last and End.
type Outage struct {
	ID string `json:"id"`
	// Unreachable says that nothing answered: that may have been the network on
	// this side, and is no outage of Connect as far as one can tell.
	Unreachable bool `json:"unreachable,omitempty"`
	// LastUp is the look before First, which found it up; zero when there was none, or
	// none for a while.
	LastUp time.Time `json:"lastUp,omitzero"`
	// First and Last are the first and the last look that found it so.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// End is the first look that found it up again; zero while the outage goes
	// on. Of an interrupted one it is Last, and at least a second after First.
	End time.Time `json:"end,omitzero"`
	// Interrupted says that the looks broke off, or the clock was set, before the
	// end was seen: the outage may have lasted longer.
	Interrupted bool `json:"interrupted,omitempty"`
	// Looks counts the looks of each class.
	Looks map[connect.Availability]int `json:"looks"`
	// VersionBefore and VersionAfter are the Connect-Version before and after, ""
	// where not known. Two that differ prove a release.
	VersionBefore string `json:"versionBefore,omitempty"`
	VersionAfter  string `json:"versionAfter,omitempty"`
	// Said is what the last look said, on one line.
	Said string `json:"said,omitempty"`
}

// Ongoing reports whether the end has not been seen yet.
func (o Outage) Ongoing() bool { return o.End.IsZero() }

// Window is the outage as a window, from the last look that found Connect up to the
// next one that did: all that it broke failed in this time. One that goes on has no
// ActualEnd, so that it holds until it is told one; its End is then the last look, for the
// announced end of what nobody announced is not known.
func (o Outage) Window() maintenance.Window {
	began := o.First
	if !o.LastUp.IsZero() && o.LastUp.Before(began) {
		began = o.LastUp
	}
	w := maintenance.Window{
		ID: o.ID, Title: "Connect was not up", Source: maintenance.SourceObserved,
		Start: began, End: o.End, ActualStart: began, ActualEnd: o.End,
	}
	if o.Unreachable {
		w.Title, w.Source = "nothing answered, maybe because of the network on this side", maintenance.SourceUnreachable
	}
	if o.Ongoing() {
		w.End = laterOf(o.Last, o.First.Add(shortest))
	}
	return w
}

// String is the evidence, in sentences on one line.
func (o Outage) String() string {
	var b strings.Builder
	if o.Unreachable {
		b.WriteString("Nothing answered in the place of Connect")
	} else {
		b.WriteString("Connect was not up")
	}
	fmt.Fprintf(&b, " from %s", text.Clock(o.First, time.UTC))
	if !o.LastUp.IsZero() {
		fmt.Fprintf(&b, " (last up at %s)", text.Clock(o.LastUp, time.UTC))
	}
	switch {
	case o.Ongoing():
		fmt.Fprintf(&b, " on, last seen so at %s.", text.Clock(o.Last, time.UTC))
	case o.Interrupted:
		fmt.Fprintf(&b, " until at least %s, when the looks broke off.", text.Clock(o.End, time.UTC))
	default:
		fmt.Fprintf(&b, " to %s.", text.Clock(o.End, time.UTC))
	}
	fmt.Fprintf(&b, " Looks: %s.", counted(o.Looks))
	if o.Unreachable {
		b.WriteString(" That may have been the network on this side: it is no proof of an outage of Connect.")
	}
	if versions := released(o.VersionBefore, o.VersionAfter); versions != "" {
		b.WriteString(" " + versions)
	}
	return text.OneLine(b.String())
}

// counted lists how many looks each class had, in the order of the classes.
func counted(looks map[connect.Availability]int) string {
	var parts []string
	for _, class := range []connect.Availability{connect.Up, connect.MaintenanceSuspected, connect.Unavailable, connect.Degraded, connect.Unreachable} {
		if n := looks[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, class))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// released says that a version has changed, or nothing.
func released(before, after string) string {
	if before == "" || after == "" || before == after {
		return ""
	}
	return fmt.Sprintf("Connect-Version went from %s to %s: a release was made.", before, after)
}

func (o Outage) clone() Outage {
	o.Looks = maps.Clone(o.Looks)
	return o
}

// check says what no tracker would have written.
func (o Outage) check() error {
	switch {
	case o.First.IsZero() || o.Last.Before(o.First):
		return errors.New("has no first look, or a last one before it")
	case o.LastUp.After(o.First):
		return errors.New("was up after it began")
	case !o.End.IsZero() && !o.End.After(o.First):
		return errors.New("ends before it begins")
	}
	if strings.TrimSpace(o.ID) == "" || strings.ContainsFunc(o.ID, unicode.IsControl) {
		return fmt.Errorf("id %q is missing or has control characters", o.ID)
	}
	for class, n := range o.Looks {
		if n < 1 {
			return fmt.Errorf("has %d looks of the class %q", n, class)
		}
	}
	return nil
}
