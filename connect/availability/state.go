package availability

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// trackerFormat is the format of a tracker as JSON.
const trackerFormat = 1

type trackerJSON struct {
	Format int `json:"format"`
	memory
}

// MarshalJSON writes what the tracker remembers. It grows with the outages, some
// 400 bytes each.
func (t *Tracker) MarshalJSON() ([]byte, error) {
	t.lock()
	defer t.mu.Unlock()
	data, err := json.Marshal(trackerJSON{Format: trackerFormat, memory: t.seen})
	return text.EscapeJSON(data), err
}

// UnmarshalJSON replaces what the tracker remembers by what MarshalJSON wrote, or
// changes nothing and says in one line why it cannot. The time since then
// counts as one without a look.
func (t *Tracker) UnmarshalJSON(data []byte) error {
	var in trackerJSON
	err := number.CheckJSON(data)
	if err == nil {
		err = json.Unmarshal(data, &in)
	}
	if err != nil {
		return fmt.Errorf("connect: saved tracker: %w: remove it to begin anew", err)
	}
	if err := in.check(); err != nil {
		return fmt.Errorf("connect: saved tracker: %w: remove it to begin anew", err)
	}
	t.lock()
	defer t.mu.Unlock()
	t.seen = in.memory
	t.begun = time.Time{} // the steady clock was that of another process
	t.forget(t.seen.Last.At)
	return nil
}

func (in *trackerJSON) check() error {
	if in.Format != trackerFormat {
		return fmt.Errorf("has the format %d, and this program knows %d", in.Format, trackerFormat)
	}
	ids := make(map[string]bool)
	for i, o := range in.Outages {
		if err := o.check(); err != nil {
			return fmt.Errorf("outages[%d] %w", i, err)
		}
		if o.Ongoing() {
			return fmt.Errorf("outages[%d] has no end: the one that goes on is kept apart", i)
		}
		if i > 0 && o.First.Before(in.Outages[i-1].First) {
			return fmt.Errorf("outages[%d] is older than the one before", i)
		}
		if ids[o.ID] {
			return fmt.Errorf("outages[%d] has the id %q of another", i, o.ID)
		}
		ids[o.ID] = true
	}
	if err := in.Connect.check(); err != nil {
		return fmt.Errorf("connect %w", err)
	}
	if err := in.Network.check(); err != nil {
		return fmt.Errorf("network %w", err)
	}
	return nil
}

func (b *book) check() error {
	switch {
	case b.Settled != "" && b.Settled != good && b.Settled != bad:
		return fmt.Errorf("settled is %q: it must be %q, %q or missing", b.Settled, good, bad)
	case (b.Open != nil) != (b.Settled == bad):
		return errors.New("has an outage that goes on without being settled as bad, or the reverse")
	case b.Open != nil && !b.Open.End.IsZero():
		return errors.New("has an outage that goes on and has an end")
	case !b.Run.First.IsZero() && b.Run.Looks == nil:
		return errors.New("has a run without looks")
	}
	if b.Open == nil {
		return nil
	}
	if b.Open.Looks == nil {
		return errors.New("has an outage without looks")
	}
	return b.Open.check()
}
