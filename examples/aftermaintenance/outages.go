package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/durable"
)

// outageLog probes Connect, and keeps in the state directory when it was seen down, which reports show. Several
// processes may do so.
type outageLog struct {
	prober    availability.Prober
	path      string
	announced func() *maintenance.Calendar
	warn      func(error)
	warned    atomic.Bool
}

// newOutageLog returns the log of the state directory. To probe, it needs a prober.
func (s *site) newOutageLog() *outageLog {
	return &outageLog{
		path: filepath.Join(s.options.state, "outages.json"),
		announced: func() *maintenance.Calendar {
			if s.windows == nil {
				return nil
			}
			return s.windows.calendar()
		},
		warn: s.warn,
	}
}

// outageGap is the longest time between two probes of one outage.
const outageGap = 15 * time.Minute

// Probe probes Connect.
func (o *outageLog) Probe(ctx context.Context) (connect.Probe, error) {
	p, err := o.prober.Probe(ctx)
	if failed := o.save(p); failed != nil && !o.warned.Swap(true) {
		o.warn(fmt.Errorf("reports will not show when Connect was down: %w", failed))
	}
	return p, err
}

// save adds a probe to the file.
func (o *outageLog) save(p connect.Probe) error {
	if err := os.MkdirAll(filepath.Dir(o.path), 0o700); err != nil {
		return err
	}
	lock, err := durable.AcquireLock(o.path+".lock", programName, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // the system does it at the latest when this process ends
	tracker, err := o.load()
	if err != nil {
		return err
	}
	tracker.Observe(p)
	content, err := json.Marshal(tracker)
	if err != nil {
		return err
	}
	return durable.Replace(o.path, content, 0o600)
}

// load returns what the file has. One probe is enough to end an outage, since a command continues after it.
func (o *outageLog) load() (*availability.Tracker, error) {
	tracker, err := availability.NewTracker(availability.TrackerConfig{Threshold: 1, MaxGap: outageGap})
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return tracker, nil
	}
	if err == nil {
		err = tracker.UnmarshalJSON(content)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	return tracker, nil
}

// windows returns when Connect was seen down. A single probe proves that only in an announced maintenance.
func (o *outageLog) windows() (windows []maintenance.Window) {
	tracker, err := o.load()
	if err != nil {
		o.warn(err)
		return nil
	}
	for _, outage := range tracker.Outages() {
		probes := 0
		for _, n := range outage.Probes {
			probes += n
		}
		_, expected := o.announced().At(outage.First)
		if !outage.Unreachable && (probes > 1 || expected) {
			windows = append(windows, o.window(outage))
		}
	}
	return windows
}

// window returns the longest time that an outage can have lasted: if nothing was seen before or after it, as long as
// the announced maintenance.
func (o *outageLog) window(outage availability.Outage) maintenance.Window {
	if outage.Ongoing() && time.Since(outage.Last) > outageGap {
		outage.Interrupted, outage.End = true, outage.Last.Add(time.Second)
	}
	w, calendar := outage.Window(), o.announced()
	if in, found := calendar.At(outage.First); found && outage.LastUp.IsZero() {
		w.Start, w.ActualStart = in.Span().Start, in.Span().Start
	}
	if in, found := calendar.At(outage.Last); found && outage.Interrupted {
		if end := in.Span().End; !end.IsZero() && end.Before(time.Now()) {
			w.End, w.ActualEnd = end, end
		}
	}
	return w
}
