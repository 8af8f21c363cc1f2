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

// Source is a status page as a [maintenance.WindowSource]. It is safe for concurrent use.
type Source struct {
	page string // its address
	cfg  config

	all, active, upcoming feed[*maintenances]
	components            feed[[]component]
}

// New returns a source for the page at an address such as https://status.example.com. It
// sends nothing yet.
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
		all: feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances.json",
			decode: decodeMaintenances},
		active: feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances/active.json",
			decode: decodeMaintenances},
		upcoming: feed[*maintenances]{client: client, op: op, path: "api/v2/scheduled-maintenances/upcoming.json",
			decode: decodeMaintenances},
		components: feed[[]component]{client: client, op: "read components", path: "api/v2/components.json",
			decode: decodeComponents},
	}, nil
}

// Windows returns the windows of the page in [from, to). Ids are those of the page, Source
// is its address, and Zone that of the page if known.
//
// A scheduled maintenance is a window as announced. One in progress or being verified
// has started and has no end, even past the announced one. A completed one ended when it
// was resolved, else as announced; if that is before its start, it is cancelled
// (inferred: the API has no status for that).
//
// The actual start is the first update with such a status. started_at is ignored if it is
// the time of the announcement, which Statuspage sends (inferred).
//
// Documents that have not changed are not sent again (ETag).
//
// Each warning is a [*maintenance.SourceWarning]: maintenance left out, a feed that is full,
// components that the page does not have, an unknown zone, or a clock difference.
func (s *Source) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	if !from.Before(to) {
		return nil, nil
	}
	full, clock, err := s.all.get(ctx)
	if err != nil {
		return nil, s.failure(err)
	}
	n := &notes{source: s.page}
	n.clock(clock, s.cfg.tolerance)
	list := full
	if full.count >= s.cfg.limit {
		list = s.complete(ctx, full, from, n)
	}
	if len(s.cfg.components) > 0 {
		s.checkComponents(ctx, n)
	}
	windows := s.windows(list, n)
	windows = slices.DeleteFunc(windows, func(w maintenance.Window) bool { return !w.Span().Overlaps(from, to) })
	slices.SortStableFunc(windows, func(a, b maintenance.Window) int {
		return cmp.Or(a.Span().Start.Compare(b.Span().Start), cmp.Compare(a.ID, b.ID))
	})
	return windows, errors.Join(n.warnings...)
}

func (s *Source) failure(err error) error { return fmt.Errorf("statuspage: %s: %w", s.page, err) }

// complete adds what may not fit into a full feed, and warns of what is missing. The two
// other feeds have no documented limit (connect/WIRE.md#10.2).
func (s *Source) complete(ctx context.Context, full *maintenances, from time.Time, n *notes) *maintenances {
	list := *full
	list.items = slices.Clone(full.items)
	list.bad = slices.Clone(full.bad)
	for _, f := range []*feed[*maintenances]{&s.active, &s.upcoming} {
		more, _, err := f.get(ctx)
		if err != nil {
			n.warn(maintenance.ErrIncomplete, "", "the feed is full with %d maintenances, and the others cannot be read: %w",
				s.cfg.limit, err)
			continue
		}
		list.add(more)
	}
	if oldest := full.oldest(); from.Before(oldest) {
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

// notes collects the warnings of one call.
type notes struct {
	source   string
	warnings []error
}

func (n *notes) warn(kind error, window, format string, args ...any) {
	n.warnings = append(n.warnings, &maintenance.SourceWarning{
		Source: n.source, Kind: kind, WindowID: window, Err: fmt.Errorf(format, args...),
	})
}

// since warns of the time before which a full feed is incomplete.
func (n *notes) since(oldest time.Time, limit int) {
	n.warnings = append(n.warnings, &maintenance.SourceWarning{
		Source: n.source, Kind: maintenance.ErrIncomplete, Span: maintenance.Span{End: oldest},
		Err: fmt.Errorf("the page lists only its latest %d maintenances: those before %s may be missing",
			limit, oldest.Format(time.RFC3339)),
	})
}

// clock warns of a clock difference.
func (n *notes) clock(theirs clock, tolerance time.Duration) {
	off := theirs.off.Round(time.Second)
	if off.Abs() <= tolerance {
		return
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	n.warn(maintenance.ErrUncertain, "",
		"the clock of the page is %s %s the local one: check which is right, since windows are compared with the local one",
		off.Abs(), way)
}

// zone returns the zone of the page if it is known.
func (n *notes) zone(name string) string {
	if name == "" {
		return ""
	}
	probe := maintenance.Window{ID: "zone", Start: time.Unix(0, 0), End: time.Unix(1, 0), Zone: name}
	if probe.Validate() != nil {
		n.warn(maintenance.ErrUncertain, "", "the time zone %q of the page is unknown: times are shown in UTC", name)
		return ""
	}
	return name
}
