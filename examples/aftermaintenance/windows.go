package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// windowsConfig says where maintenance windows are announced. All sources are used.
type windowsConfig struct {
	Files       []string             `json:"files"` // see maintenance.LoadCalendar
	Weekly      []maintenance.Weekly `json:"weekly"`
	Calendars   []icalConfig         `json:"calendars"`
	StatusPages []statusPageConfig   `json:"statusPages"`
	Margins     struct {
		Lead     duration `json:"lead"`
		Tail     duration `json:"tail"`
		Lookback duration `json:"lookback"`
	} `json:"margins"`
}

// icalConfig is an iCalendar feed, or a file. Its address may be a secret: "$NAME" is that of a variable.
type icalConfig struct {
	Name         string            `json:"name"` // in the ids of its windows
	URL          string            `json:"url"`
	File         string            `json:"file"`
	Summary      []string          `json:"summary"`
	Categories   []string          `json:"categories"`
	FloatingZone string            `json:"floatingZone"`
	ZoneNames    map[string]string `json:"zoneNames"`
}

type statusPageConfig struct {
	Name        string   `json:"name"`
	URL         string   `json:"url"`
	Components  []string `json:"components"`
	MaxDuration duration `json:"maxDuration"`
}

// windowSources reads maintenance windows. It is safe for concurrent use.
type windowSources struct {
	files  []string
	weekly []maintenance.Weekly
	feeds  *maintenance.Multi // nil if there are none
	warn   func(error)
	now    atomic.Pointer[maintenance.Calendar]
}

// openWindows returns the sources of the configuration and of -windows. Feeds are cached below dir.
func (p *program) openWindows(c *config) (*windowSources, error) {
	w := &windowSources{weekly: c.Windows.Weekly, warn: p.warn}
	for _, file := range c.Windows.Files {
		w.files = append(w.files, c.path(file))
	}
	w.files = append(w.files, p.options.windows...)
	var feeds []maintenance.NamedSource
	for i, f := range c.Windows.Calendars {
		source, err := f.open(p, c)
		if err != nil {
			return nil, fmt.Errorf("configuration: windows.calendars[%d]: %w", i, err)
		}
		feeds = append(feeds, maintenance.NamedSource{Name: cmp.Or(f.Name, fmt.Sprintf("calendar%d", i+1)), Source: source})
	}
	for i, f := range c.Windows.StatusPages {
		source, err := f.open()
		if err != nil {
			return nil, fmt.Errorf("configuration: windows.statusPages[%d]: %w", i, err)
		}
		feeds = append(feeds, maintenance.NamedSource{Name: cmp.Or(f.Name, fmt.Sprintf("statuspage%d", i+1)), Source: source})
	}
	if len(w.files)+len(w.weekly)+len(feeds) == 0 {
		return nil, usagef("no source of maintenance windows is configured, so nothing shows why orders failed: give " +
			"-windows, " +
			`or "windows" in the configuration; a file with {"windows": []} says that there are none`)
	}
	if len(feeds) == 0 {
		return w, nil
	}
	var err error
	w.feeds, err = maintenance.NewMulti(feeds, maintenance.WithCacheDir(filepath.Join(p.options.state, "windows")))
	return w, err
}

func (f *icalConfig) open(p *program, c *config) (maintenance.WindowSource, error) {
	if (f.URL == "") == (f.File == "") {
		return nil, errors.New("give either url or file")
	}
	var opts []ical.Option
	if len(f.Summary) > 0 {
		opts = append(opts, ical.WithSummary(f.Summary...))
	}
	if len(f.Categories) > 0 {
		opts = append(opts, ical.WithCategory(f.Categories...))
	}
	if f.FloatingZone != "" {
		opts = append(opts, ical.WithFloatingZone(f.FloatingZone))
	}
	for tzid, name := range f.ZoneNames {
		opts = append(opts, ical.WithZoneName(tzid, name))
	}
	if f.File != "" {
		return ical.NewFile(c.path(f.File), opts...)
	}
	address, err := p.expand(c, f.URL)
	if err != nil {
		return nil, err
	}
	return ical.New(address, opts...)
}

func (f *statusPageConfig) open() (maintenance.WindowSource, error) {
	var opts []statuspage.Option
	if len(f.Components) > 0 {
		opts = append(opts, statuspage.WithComponents(f.Components...))
	}
	if f.MaxDuration != 0 {
		opts = append(opts, statuspage.WithMaxDuration(time.Duration(f.MaxDuration)))
	}
	return statuspage.New(f.URL, opts...)
}

// load reads all sources.
func (w *windowSources) load(ctx context.Context) error {
	calendar, err := maintenance.NewCalendar(nil, w.weekly...)
	if err != nil {
		return fmt.Errorf("configuration: windows.weekly: %w", err)
	}
	for _, path := range w.files {
		file, err := maintenance.LoadCalendarFile(path)
		if err != nil {
			return fmt.Errorf("-windows: %w", err)
		}
		calendar = calendar.Merge(file)
	}
	if w.feeds != nil {
		const horizon = 400 * 24 * time.Hour
		now := time.Now()
		announced, err := maintenance.QueryCalendar(ctx, w.feeds, now.Add(-horizon), now.Add(horizon))
		warnings, failure := maintenance.SplitWarnings(err)
		if failure != nil {
			return fmt.Errorf("windows: %w", failure)
		}
		for _, warning := range warnings {
			w.warn(warning)
		}
		calendar = calendar.Merge(announced)
	}
	w.now.Store(calendar)
	return nil
}

// refreshWindows is the time between two looks at the sources while a plan is applied.
const refreshWindows = 5 * time.Minute

// refresh loads the sources again and again until ctx ends. After an error the windows stay as they are.
func (w *windowSources) refresh(ctx context.Context) {
	for wait.For(ctx, refreshWindows, nil) == nil {
		if err := w.load(ctx); err != nil && ctx.Err() == nil {
			w.warn(fmt.Errorf("the maintenance windows could not be read again: %w", err))
		}
	}
}

// calendar returns the windows that are known now.
func (w *windowSources) calendar() *maintenance.Calendar { return w.now.Load() }
