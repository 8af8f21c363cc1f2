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

// minOutage is the length of the shortest outage: probes are at least a second apart.
const minOutage = time.Second

// maxMessage limits what is kept of an error, in bytes.
const maxMessage = 300

// Outage is a time in which probes found Connect down. It began between LastUp and First
// and ended between Last and End.
type Outage struct {
	ID string `json:"id"`
	// Unreachable is whether nothing answered at all: the cause may have been the
	// local network, so it is no proof of an outage of Connect.
	Unreachable bool `json:"unreachable,omitempty"`
	// LastUp is the time of the last probe before First; zero if there was none within
	// TrackerConfig.MaxGap.
	LastUp time.Time `json:"lastUp,omitzero"`
	// First and Last are the times of the first and the last probe that found it down.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// End is the time of the first probe that found it up again; zero while the outage
	// is ongoing. For an interrupted one it is Last, but at least a second after First.
	End time.Time `json:"end,omitzero"`
	// Interrupted is whether the probes stopped, or the clock was set, before the end
	// was seen: the outage may have lasted longer.
	Interrupted bool `json:"interrupted,omitempty"`
	// Probes counts the probes by class.
	Probes map[connect.ProbeClass]int `json:"probes"`
	// VersionBefore and VersionAfter are the Connect-Version before and after, "" if
	// unknown. Two different ones mean a release (inferred).
	VersionBefore string `json:"versionBefore,omitempty"`
	VersionAfter  string `json:"versionAfter,omitempty"`
	// Message is the error of the last probe, on one line.
	Message string `json:"message,omitempty"`
}

// Ongoing reports whether the outage has not ended yet.
func (o Outage) Ongoing() bool { return o.End.IsZero() }

// Window returns the outage as a window from the last probe before it to the first probe after it
// that found Connect up, the longest time that it can have lasted.
// An ongoing one has no ActualEnd, so it stays in effect; its End is the last probe.
func (o Outage) Window() maintenance.Window {
	began := o.First
	if !o.LastUp.IsZero() && o.LastUp.Before(began) {
		began = o.LastUp
	}
	w := maintenance.Window{
		ID: o.ID, Title: "Connect was down", Source: maintenance.SourceObserved,
		Start: began, End: o.End, ActualStart: began, ActualEnd: o.End,
	}
	if o.Unreachable {
		w.Title, w.Source = "nothing answered, maybe because of the local network", maintenance.SourceUnreachable
	}
	if o.Ongoing() {
		w.End = laterOf(o.Last, o.First.Add(minOutage))
	}
	return w
}

// String describes the outage in sentences, on one line.
func (o Outage) String() string {
	var b strings.Builder
	if o.Unreachable {
		b.WriteString("Connect was unreachable")
	} else {
		b.WriteString("Connect was down")
	}
	fmt.Fprintf(&b, " from %s", text.Clock(o.First, time.UTC))
	if !o.LastUp.IsZero() {
		fmt.Fprintf(&b, " (last up at %s)", text.Clock(o.LastUp, time.UTC))
	}
	switch {
	case o.Ongoing():
		fmt.Fprintf(&b, ", ongoing at %s.", text.Clock(o.Last, time.UTC))
	case o.Interrupted:
		fmt.Fprintf(&b, " until at least %s, when the probes stopped.", text.Clock(o.End, time.UTC))
	default:
		fmt.Fprintf(&b, " to %s.", text.Clock(o.End, time.UTC))
	}
	fmt.Fprintf(&b, " Probes: %s.", counted(o.Probes))
	if o.Unreachable {
		b.WriteString(" The cause may be the local network: this is no proof of an outage of Connect.")
	}
	if versions := released(o.VersionBefore, o.VersionAfter); versions != "" {
		b.WriteString(" " + versions)
	}
	return text.OneLine(b.String())
}

// counted lists the number of probes of each class, in the order of the classes.
func counted(probes map[connect.ProbeClass]int) string {
	var parts []string
	for _, class := range []connect.ProbeClass{connect.ClassUp, connect.ClassMaintenanceSuspected,
		connect.ClassUnavailable, connect.ClassDegraded, connect.ClassUnreachable} {
		if n := probes[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, class))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// released describes a change of version, or returns "".
func released(before, after string) string {
	if before == "" || after == "" || before == after {
		return ""
	}
	return fmt.Sprintf("Connect-Version changed from %s to %s: there was a release.", before, after)
}

func (o Outage) clone() Outage {
	o.Probes = maps.Clone(o.Probes)
	return o
}

// validate rejects outages that no tracker writes.
func (o Outage) validate() error {
	switch {
	case o.First.IsZero() || o.Last.Before(o.First):
		return errors.New("has no first probe, or a last one before it")
	case o.LastUp.After(o.First):
		return errors.New("was up after it began")
	case !o.End.IsZero() && !o.End.After(o.First):
		return errors.New("ends before it begins")
	}
	if strings.TrimSpace(o.ID) == "" || strings.ContainsFunc(o.ID, unicode.IsControl) {
		return fmt.Errorf("id %q is missing or has control characters", o.ID)
	}
	for class, n := range o.Probes {
		if n < 1 {
			return fmt.Errorf("has %d probes of class %q", n, class)
		}
	}
	return nil
}
