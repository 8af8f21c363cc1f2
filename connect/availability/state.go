package availability

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// trackerFormat is the version of the JSON form.
const trackerFormat = 1

type trackerJSON struct {
	Format int `json:"format"`
	trackerState
}

// MarshalJSON encodes what the tracker has observed: about 400 bytes per outage.
func (t *Tracker) MarshalJSON() ([]byte, error) {
	t.lock()
	defer t.mu.Unlock()
	data, err := json.Marshal(trackerJSON{Format: trackerFormat, trackerState: t.state})
	return text.EscapeJSON(data), err
}

// UnmarshalJSON replaces what the tracker has observed by what MarshalJSON encoded. On
// an error it changes nothing. The time since then counts as a time without probes.
func (t *Tracker) UnmarshalJSON(data []byte) error {
	var in trackerJSON
	err := number.Unmarshal(data, &in)
	if err == nil {
		err = in.validate()
	}
	if err != nil {
		return fmt.Errorf("availability: saved tracker: %w: remove it to start empty", err)
	}
	t.lock()
	defer t.mu.Unlock()
	t.state = in.trackerState
	t.begun = time.Time{} // a monotonic clock belongs to its process
	t.prune(t.state.Last.At)
	return nil
}

func (in *trackerJSON) validate() error {
	if in.Format != trackerFormat {
		return fmt.Errorf("has format %d, this program reads %d", in.Format, trackerFormat)
	}
	ids := make(map[string]bool)
	for i, o := range in.Outages {
		if err := o.validate(); err != nil {
			return fmt.Errorf("outages[%d] %w", i, err)
		}
		if o.Ongoing() {
			return fmt.Errorf("outages[%d] has no end: ongoing outages are in open", i)
		}
		if i > 0 && o.First.Before(in.Outages[i-1].First) {
			return fmt.Errorf("outages[%d] starts before the previous one", i)
		}
		if ids[o.ID] {
			return fmt.Errorf("outages[%d] repeats the id %q", i, o.ID)
		}
		ids[o.ID] = true
	}
	if err := in.Connect.validate(); err != nil {
		return fmt.Errorf("connect %w", err)
	}
	if err := in.Network.validate(); err != nil {
		return fmt.Errorf("network %w", err)
	}
	return nil
}

func (b *debouncer) validate() error {
	switch {
	case b.Settled != "" && b.Settled != good && b.Settled != bad:
		return fmt.Errorf("settled is %q: it must be %q, %q or missing", b.Settled, good, bad)
	case (b.Open != nil) != (b.Settled == bad):
		return errors.New("has an ongoing outage without being settled as bad, or the reverse")
	case b.Open != nil && !b.Open.End.IsZero():
		return errors.New("has an ongoing outage with an end")
	case !b.Run.First.IsZero() && b.Run.Probes == nil:
		return errors.New("has a run without probes")
	}
	if b.Open == nil {
		return nil
	}
	if b.Open.Probes == nil {
		return errors.New("has an outage without probes")
	}
	return b.Open.validate()
}
