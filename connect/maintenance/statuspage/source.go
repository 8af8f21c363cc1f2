package statuspage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Source is one status page. Safe for concurrent use.
type Source struct {
	page string // its address
	cfg  config

	all, active, upcoming feed[*maintenances]
	components            feed[[]component]
}

// New makes a source of the page at an address such as https://status.example.com.
// Nothing is sent yet.
func New(pageURL string, opts ...Option) (*Source, error) {
	cfg := config{longest: 7 * 24 * time.Hour, tolerance: 2 * time.Minute, limit: 50}
	cfg.rest.MaxBody = 8 << 20
	for _, opt := range opts {
		if err := opt(&cfg); err != nil {
			return nil, fmt.Errorf("statuspage: %w", err)
		}
	}
	page := strings.TrimSuffix(strings.TrimRight(pageURL, "/"), "/api/v2")
	cfg.rest.BaseURL = page
	client, err := rest.New(cfg.rest)
	if err != nil {
		return nil, fmt.Errorf("statuspage: %w", err)
	}
	const op = "read scheduled maintenances"
	return &Source{
		page: page, cfg: cfg,
		all:        feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances.json", decode: decodeMaintenances},
		active:     feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances/active.json", decode: decodeMaintenances},
		upcoming:   feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances/upcoming.json", decode: decodeMaintenances},
		components: feed[[]component]{client: client, op: "read components", path: "api/v2/components.json", decode: decodeComponents},
	}, nil
}

// Windows asks the page. A maintenance that is scheduled is a window as announced. One
// that is in progress or verified has begun and has no end, also past its announced
// one. One that is completed ended when the page says it was resolved, or else
// as announced; if that was before it was to begin, it is cancelled (inferred: the
// API has no state for that). The ids are the page's, Source is its address, and
// Zone its own where that is known here.
//
// It began at the first update that says so. The page's started_at is not trusted when it
// is the time at which the maintenance was announced, which is what
// Statuspage sends there.
//
// Answers that have not changed since the last call are not sent again (ETag).
//
// Warnings are a [*maintenance.SourceWarning] each: maintenances left out, too many for
// the feed to hold them all, components that the page does not have, a zone
// that is not known here, and a clock that is off.
func (s *Source) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	if !from.Before(to) {
		return nil, nil
	}
	told, clock, err := s.all.get(ctx)
	if err != nil {
		return nil, s.failure(err)
	}
	n := &notes{source: s.page}
	n.clock(clock, s.cfg.tolerance)
	list := told
	if told.count >= s.cfg.limit {
		list = s.complete(ctx, told, from, n)
	}
	if len(s.cfg.components) > 0 {
		s.checkComponents(ctx, n)
	}
	windows := s.windows(list, n)
	windows = slices.DeleteFunc(windows, func(w maintenance.Window) bool { return !holdsIn(w, from, to) })
	slices.SortStableFunc(windows, func(a, b maintenance.Window) int {
		return cmp.Or(a.Span().Start.Compare(b.Span().Start), cmp.Compare(a.ID, b.ID))
	})
	return windows, errors.Join(n.warnings...)
}

func (s *Source) failure(err error) error { return fmt.Errorf("statuspage: %s: %w", s.page, err) }

// complete adds what a full feed may have no room for, and says what stays missing.
// The two other feeds are not told to be limited (connect/WIRE.md#10.2).
func (s *Source) complete(ctx context.Context, told *maintenances, from time.Time, n *notes) *maintenances {
	list := *told
	list.items = slices.Clone(told.items)
	list.bad = slices.Clone(told.bad)
	for _, f := range []*feed[*maintenances]{&s.active, &s.upcoming} {
		more, _, err := f.get(ctx)
		if err != nil {
			n.warn(maintenance.ErrIncomplete, "", "%d maintenances are all that the feed holds, and others cannot be had: %w", s.cfg.limit, err)
			continue
		}
		list.add(more)
	}
	if oldest := told.oldest(); from.Before(oldest) {
		n.since(oldest, s.cfg.limit)
	}
	return &list
}

func (s *Source) windows(list *maintenances, n *notes) []maintenance.Window {
	zone := n.zone(list.zone)
	for _, bad := range list.bad {
		n.warn(maintenance.ErrIncomplete, bad.id, "maintenance %q is left out: %w", bad.id, bad.err)
	}
	now := time.Now()
	var windows []maintenance.Window
	for _, m := range list.items {
		if !m.concerns(s.cfg.components) {
			continue
		}
		w, err := m.window(s.cfg.longest)
		w.Zone, w.Source = zone, s.page
		if err != nil {
			n.warn(maintenance.ErrIncomplete, m.id, "maintenance %q is left out: %w", m.id, err)
			continue
		}
		for _, odd := range m.oddities(w, now, s.cfg.longest) {
			n.warn(maintenance.ErrUncertain, m.id, "maintenance %q: %w", m.id, odd)
		}
		windows = append(windows, w)
	}
	return windows
}

// holdsIn reports whether a window is one of the half-open range.
func holdsIn(w maintenance.Window, from, to time.Time) bool {
	s := w.Span()
	return s.Start.Before(to) && (s.End.IsZero() || s.End.After(from))
}

// notes are the warnings of one call.
type notes struct {
	source   string
	warnings []error
}

func (n *notes) warn(kind error, window, format string, args ...any) {
	n.warnings = append(n.warnings, &maintenance.SourceWarning{
		Source: n.source, Kind: kind, WindowID: window, Err: fmt.Errorf(format, args...),
	})
}

// since says from when on a full feed is complete.
func (n *notes) since(oldest time.Time, limit int) {
	n.warnings = append(n.warnings, &maintenance.SourceWarning{
		Source: n.source, Kind: maintenance.ErrIncomplete, Span: maintenance.Span{End: oldest},
		Err: fmt.Errorf("the page tells its %d newest maintenances only: those before %s may be missing",
			limit, oldest.Format(time.RFC3339)),
	})
}

// clock compares the page's clock with that of this machine.
func (n *notes) clock(theirs clock, tolerance time.Duration) {
	off := theirs.off.Round(time.Second)
	if off.Abs() <= tolerance {
		return
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	n.warn(maintenance.ErrUncertain, "", "the page's clock is %s %s that of this machine: check which of them is right, since windows are compared with this one",
		off.Abs(), way)
}

// zone is the name of the page's zone if it can be shown here.
func (n *notes) zone(name string) string {
	if name == "" {
		return ""
	}
	probe := maintenance.Window{ID: "zone", Start: time.Unix(0, 0), End: time.Unix(1, 0), Zone: name}
	if probe.Validate() != nil {
		n.warn(maintenance.ErrUncertain, "", "the page's time zone %q is not known here: times are shown in UTC", name)
		return ""
	}
	return name
}
