package ical

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// Schedule holds the events of a parsed iCalendar file. It is a [maintenance.WindowSource]. It is immutable and safe
// for concurrent use.
type Schedule struct {
	source   string
	series   []*series
	warnings []*maintenance.SourceWarning
	most     int // windows of one event, and a tenth of all
}

// Parse reads a calendar. The source becomes the Source of its windows and starts its
// errors. An invalid event is no error here, but a warning of [Schedule.Windows].
func Parse(r io.Reader, source string, opts ...Option) (*Schedule, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	if source == "" {
		return nil, errors.New("ical: the source is empty: pass a name or a path")
	}
	schedule, err := cfg.parseFrom(r, source)
	if err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return schedule, nil
}

func (cfg *config) parseFrom(r io.Reader, source string) (*Schedule, error) {
	data, err := io.ReadAll(io.LimitReader(r, cfg.maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return cfg.parse(data, source)
}

// parse returns errors that start with the source.
func (cfg *config) parse(data []byte, source string) (*Schedule, error) {
	if int64(len(data)) > cfg.maxBytes {
		return nil, fmt.Errorf("%s: is larger than %d bytes: use a smaller calendar or raise WithMaxBody", source,
			cfg.maxBytes)
	}
	stream, err := read(data, cfg.maxEvents)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	s := &Schedule{source: source, most: cfg.maxOccurrences}
	for _, odd := range stream.odd {
		s.warnings = append(s.warnings, s.warning(odd.kind, "", maintenance.Span{}, odd.err))
	}
	byUID := make(map[string]*series)
	for _, c := range stream.calendars {
		method, zones := c.text("METHOD"), newZones(cfg, c)
		for _, component := range c.events {
			e := identify(component, method, zones)
			s.group(e, byUID)
		}
	}
	for _, of := range s.series {
		of.merge()
		of.filter(cfg.selects)
		of.masters = slices.DeleteFunc(of.masters, s.leavesOut)
		of.changes = slices.DeleteFunc(of.changes, s.leavesOut)
	}
	return s, nil
}

// group adds an event to those with the same UID, or to a series of its own if it is invalid.
func (s *Schedule) group(e *event, byUID map[string]*series) {
	of := byUID[e.UID]
	if of == nil || e.broken != nil {
		of = &series{uid: e.UID}
		s.series = append(s.series, of)
	}
	if e.broken == nil {
		byUID[e.UID] = of
	}
	of.add(e)
}

// leavesOut reports whether an event is invalid, and adds the warnings of the event.
func (s *Schedule) leavesOut(e *event) bool {
	e.component, e.zones = nil, nil // not needed any more
	warn := func(kind error, id string, why error) {
		why = fmt.Errorf("event %q of line %d: %w", shown(e.UID), e.line, why)
		s.warnings = append(s.warnings, s.warning(kind, id, maintenance.Span{}, why))
	}
	if e.broken != nil {
		warn(maintenance.ErrIncomplete, e.id(), e.broken)
		return true
	}
	for _, odd := range e.odd {
		warn(odd.kind, cmp.Or(odd.leftOut, e.id()), odd.err)
	}
	return false
}

func (s *Schedule) warning(kind error, id string, span maintenance.Span, why error) *maintenance.SourceWarning {
	return &maintenance.SourceWarning{Source: s.source, Kind: kind, Span: span, WindowID: id, Err: why}
}

// maxWarnings limits the warnings of a call; one more has the number of the others.
const maxWarnings = 50

// longest is the length above which a window is probably a mistake, as in a calendar file.
const longest = 7 * 24 * time.Hour

// Windows returns the occurrences in [from, to), see [maintenance.WindowSource]. Each event
// that is left out is a warning of the kind [maintenance.ErrIncomplete]. Each window longer than 7 days,
// zone in doubt and oddity of an event that is used is one of the kind [maintenance.ErrUncertain].
func (s *Schedule) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	if !from.Before(to) {
		return nil, nil
	}
	within := maintenance.Span{Start: from, End: to}
	a := answer{Schedule: s, warnings: slices.Clone(s.warnings), ids: make(map[string]bool), said: make(map[string]bool)}
	for _, of := range s.series {
		f := finder{series: of, within: within, most: s.most, ctx: ctx}
		f.find()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ical: %s: %w", s.source, context.Cause(ctx))
		}
		if f.err != nil {
			a.warn(maintenance.ErrIncomplete, of.uid, within, f.err)
			continue
		}
		if len(a.windows)+len(f.found) > 10*s.most {
			return nil,
				fmt.Errorf("ical: %s: has more than %d windows from %s to %s: use a shorter range or raise WithMaxOccurrences",
					s.source, 10*s.most, from.Format(time.DateOnly), to.Format(time.DateOnly))
		}
		for _, w := range f.found {
			a.add(w)
		}
		for _, w := range f.warnings {
			a.warn(maintenance.ErrUncertain, w.window.ID, w.window.Span(), w.err)
		}
	}
	slices.SortFunc(a.windows, func(a, b maintenance.Window) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
	return a.windows, s.joined(a.warnings)
}

// answer collects the result of Windows.
type answer struct {
	*Schedule
	windows  []maintenance.Window
	warnings []*maintenance.SourceWarning
	ids      map[string]bool
	said     map[string]bool // what is said once, of the first window: a zone is in doubt for all of its windows
}

func (a *answer) warn(kind error, id string, span maintenance.Span, why error) {
	if a.said[why.Error()] {
		return
	}
	a.said[why.Error()] = true
	a.warnings = append(a.warnings, a.warning(kind, id, span, why))
}

func (a *answer) add(w maintenance.Window) {
	w.Source = a.source
	why := w.Validate()
	if a.ids[w.ID] {
		why = fmt.Errorf("another window has the id %q", shown(w.ID))
	}
	if why != nil {
		a.warn(maintenance.ErrIncomplete, w.ID, w.Span(), why)
		return
	}
	if took := w.End.Sub(w.Start); took > longest && !w.Cancelled {
		a.warn(maintenance.ErrUncertain, w.ID, w.Span(),
			fmt.Errorf("window %s lasts %s, more than 7 days: check that this is intended", shown(w.String()), took))
	}
	a.ids[w.ID] = true
	a.windows = append(a.windows, w)
}

func (s *Schedule) joined(warnings []*maintenance.SourceWarning) error {
	slices.SortStableFunc(warnings, func(a, b *maintenance.SourceWarning) int { // what is left out is first
		return cmp.Compare(rank(a), rank(b))
	})
	if len(warnings) > maxWarnings {
		more := s.warning(maintenance.ErrIncomplete, "", maintenance.Span{},
			fmt.Errorf("and %d more warnings", len(warnings)-maxWarnings))
		warnings = append(warnings[:maxWarnings:maxWarnings], more)
	}
	all := make([]error, 0, len(warnings))
	for _, w := range warnings {
		all = append(all, w)
	}
	return errors.Join(all...)
}

func rank(w *maintenance.SourceWarning) int {
	if errors.Is(w.Kind, maintenance.ErrIncomplete) {
		return 0
	}
	return 1
}
