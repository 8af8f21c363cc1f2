package availability

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// look is what a tracker takes of a probe.
type look struct {
	at      time.Time
	class   connect.Availability
	version string
	said    string
}

// verdict is what a book holds to be so; "" is unknown.
type verdict string

const (
	good verdict = "good"
	bad  verdict = "bad"
)

func verdictOf(isBad bool) verdict {
	if isBad {
		return bad
	}
	return good
}

// book debounces the looks that answer one question.
type book struct {
	Settled verdict   `json:"settled,omitempty"`
	Since   time.Time `json:"since,omitzero"` // the first of the looks that settled it
	Last    time.Time `json:"last,omitzero"`  // the newest look
	Run     run       `json:"run,omitzero"`
	Open    *Outage   `json:"open,omitempty"` // set while Settled is bad
}

// run are looks in a row that say something else than what is settled.
type run struct {
	Bad     bool                         `json:"bad,omitempty"`
	First   time.Time                    `json:"first"`
	Last    time.Time                    `json:"last"`
	Looks   map[connect.Availability]int `json:"looks"`
	Before  time.Time                    `json:"before,omitzero"` // the look before them, which said otherwise
	Version string                       `json:"version,omitempty"`
	Said    string                       `json:"said,omitempty"`
}

func (r run) count() int {
	n := 0
	for _, looks := range r.Looks {
		n += looks
	}
	return n
}

// add takes in a look, before it becomes the last one, and reports whether the run now
// is long enough to count.
func (b *book) add(l look, isBad bool, cfg TrackerConfig) bool {
	if b.Settled == verdictOf(isBad) {
		b.Run = run{}
		if b.Open != nil {
			b.Open.Last, b.Open.Said = l.at, l.said
			b.Open.Looks[l.class]++
		}
		return false
	}
	if b.Run.Bad != isBad || b.Run.First.IsZero() {
		known := b.Settled != "" || !b.Run.First.IsZero() // else the look before is one across a gap
		b.Run = run{Bad: isBad, First: l.at, Looks: map[connect.Availability]int{}}
		if known {
			b.Run.Before = b.Last
		}
	}
	b.Run.Last, b.Run.Said = l.at, l.said
	b.Run.Looks[l.class]++
	if l.version != "" {
		b.Run.Version = l.version
	}
	lasted := l.at.Sub(b.Run.First)
	return b.Run.count() >= cfg.Looks || cfg.Lasting >= 0 && lasted > 0 && lasted >= cfg.Lasting
}

// outage is what begins when the run counts.
func (r run) outage(unreachable bool, version string) Outage {
	return Outage{
		Unreachable: unreachable, LastUp: r.Before, First: r.First, Last: r.Last, Looks: r.Looks,
		VersionBefore: version, Said: r.Said,
	}
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
