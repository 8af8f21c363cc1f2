package availability

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// verdict is the settled answer of a debouncer; "" is unknown.
type verdict string

const (
	good verdict = "good"
	bad  verdict = "bad"
)

func verdictOf(down bool) verdict {
	if down {
		return bad
	}
	return good
}

// debouncer changes its verdict only after several probes that agree.
type debouncer struct {
	Settled verdict   `json:"settled,omitempty"`
	Since   time.Time `json:"since,omitzero"` // the first probe of the verdict
	Last    time.Time `json:"last,omitzero"`  // the latest probe
	Run     run       `json:"run,omitzero"`
	Open    *Outage   `json:"open,omitempty"` // set while Settled is bad
}

// run is consecutive probes that contradict the verdict.
type run struct {
	Bad     bool                       `json:"bad,omitempty"`
	First   time.Time                  `json:"first"`
	Last    time.Time                  `json:"last"`
	Probes  map[connect.ProbeClass]int `json:"probes"`
	Before  time.Time                  `json:"before,omitzero"` // the probe before the run
	Version string                     `json:"version,omitempty"`
	Message string                     `json:"message,omitempty"`
}

func (r run) count() int {
	n := 0
	for _, probes := range r.Probes {
		n += probes
	}
	return n
}

// add adds a probe and reports whether the run is long enough to settle.
func (b *debouncer) add(p connect.Probe, down bool, cfg TrackerConfig) bool {
	if b.Settled == verdictOf(down) {
		b.Run = run{}
		if b.Open != nil {
			b.Open.Last, b.Open.Message = p.At, message(p)
			b.Open.Probes[p.Class]++
		}
		return false
	}
	if b.Run.Bad != down || b.Run.First.IsZero() {
		known := b.Settled != "" || !b.Run.First.IsZero() // otherwise the last probe was before a gap
		b.Run = run{Bad: down, First: p.At, Probes: map[connect.ProbeClass]int{}}
		if known {
			b.Run.Before = b.Last
		}
	}
	b.Run.Last, b.Run.Message = p.At, message(p)
	b.Run.Probes[p.Class]++
	if p.Version != "" {
		b.Run.Version = p.Version
	}
	lasted := p.At.Sub(b.Run.First)
	return b.Run.count() >= cfg.Threshold || cfg.ThresholdTime >= 0 && lasted > 0 && lasted >= cfg.ThresholdTime
}

// outage returns the outage that starts when the run settles.
func (r run) outage(unreachable bool, version string) Outage {
	return Outage{
		Unreachable: unreachable, LastUp: r.Before, First: r.First, Last: r.Last, Probes: r.Probes,
		VersionBefore: version, Message: r.Message,
	}
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
