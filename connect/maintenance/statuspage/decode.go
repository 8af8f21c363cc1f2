package statuspage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maintenances is a decoded feed.
type maintenances struct {
	zone  string
	count int // including unreadable ones
	items []item
	bad   []unreadable
}

// unreadable is a maintenance that cannot be decoded.
type unreadable struct {
	id  string // "" if unknown
	err error
}

// item is one maintenance as the page describes it (connect/WIRE.md#10.2).
type item struct {
	id, name, status             string
	phase                        phase
	scheduledFor, scheduledUntil time.Time
	created, updated             time.Time
	started, resolved            time.Time
	begun                        time.Time // the first update with an ongoing status
	components                   []component
	updatesErr                   error // why the updates cannot be decoded
	clash                        bool  // it is listed twice, with other times
}

type component struct {
	id, name, groupID string
	group             bool
}

func decodeMaintenances(raw json.RawMessage) (*maintenances, error) {
	r, err := fields.Of(raw)
	if err != nil {
		return nil, err
	}
	list := &maintenances{}
	if !r.Has("scheduled_maintenances") { // null is the empty list of servers in Go
		return nil, errors.New("it has no scheduled_maintenances: is this the address of a page with the Statuspage API v2?")
	}
	r.Each("scheduled_maintenances", func(raw json.RawMessage) error {
		list.count++
		if m, err := decodeMaintenance(raw); err != nil {
			list.bad = append(list.bad, unreadable{id: m.id, err: err})
		} else {
			list.items = append(list.items, m)
		}
		return nil
	})
	if err := r.Err(); err != nil {
		return nil, err
	}
	list.items = newest(list.items)
	r.Read("page", func(raw json.RawMessage) error {
		page, err := fields.Of(raw)
		if err == nil {
			list.zone = page.Text("time_zone")
		}
		return nil // the zone is only for display
	})
	return list, nil
}

func decodeMaintenance(raw json.RawMessage) (item, error) {
	r, err := fields.Of(raw)
	if err != nil {
		return item{}, err
	}
	m := item{id: text.Clip(strings.Join(strings.Fields(r.Text("id")), " "), 100)}
	m.name = text.Excerpt(r.Text("name"), 200)
	m.status = r.Text("status")
	m.phase = phaseOf(m.status)
	m.scheduledFor, m.scheduledUntil = r.Time("scheduled_for"), r.Time("scheduled_until")
	m.created, m.updated = r.Time("created_at"), r.Time("updated_at")
	m.started, m.resolved = r.Time("started_at"), r.Time("resolved_at")
	r.Each("components", func(raw json.RawMessage) error {
		c, err := decodeComponent(raw)
		m.components = append(m.components, c)
		return err
	})
	r.Read("incident_updates", func(raw json.RawMessage) error {
		m.begun, m.updatesErr = decodeBegin(raw)
		return nil // the announced times do not need them
	})
	switch err := r.Err(); {
	case err != nil:
		return m, err
	case m.id == "":
		return m, fmt.Errorf("it has no id (its name is %q)", m.name)
	case m.scheduledFor.IsZero():
		return m, errors.New("it has no scheduled_for")
	default:
		return m, nil
	}
}

// decodeBegin returns the time of the first ongoing update; zero if there is none.
func decodeBegin(raw json.RawMessage) (begun time.Time, err error) {
	var updates []json.RawMessage
	if json.Unmarshal(raw, &updates) != nil {
		return time.Time{}, fmt.Errorf("incident_updates must be a list, not %s", fields.Excerpt(raw))
	}
	for i, raw := range updates {
		r, err := fields.Of(raw)
		if err != nil {
			return time.Time{}, fmt.Errorf("incident_updates [%d]: %w", i, err)
		}
		status := r.Text("status")
		at := r.Time("display_at")
		if at.IsZero() {
			at = r.Time("created_at")
		}
		if err := r.Err(); err != nil {
			return time.Time{}, fmt.Errorf("incident_updates [%d]: %w", i, err)
		}
		if phaseOf(status) == ongoing && !at.IsZero() && (begun.IsZero() || at.Before(begun)) {
			begun = at
		}
	}
	return begun, nil
}

func decodeComponents(raw json.RawMessage) ([]component, error) {
	r, err := fields.Of(raw)
	if err != nil {
		return nil, err
	}
	list := []component{}
	r.Each("components", func(raw json.RawMessage) error {
		c, err := decodeComponent(raw)
		list = append(list, c)
		return err
	})
	return list, r.Err()
}

func decodeComponent(raw json.RawMessage) (component, error) {
	r, err := fields.Of(raw)
	if err != nil {
		return component{}, err
	}
	c := component{id: r.Text("id"), name: strings.TrimSpace(r.Text("name")), groupID: r.Text("group_id")}
	r.Read("group", func(raw json.RawMessage) error {
		if json.Unmarshal(raw, &c.group) != nil {
			return fmt.Errorf("must be true or false, not %s", fields.Excerpt(raw))
		}
		return nil
	})
	return c, r.Err()
}

// newest keeps one maintenance of each id: the one updated last, else the first.
func newest(items []item) []item {
	var kept []item
	known := make(map[string]int)
	for _, m := range items {
		i, found := known[m.id]
		switch {
		case !found:
			known[m.id] = len(kept)
			kept = append(kept, m)
		case m.updated.After(kept[i].updated):
			kept[i] = m
		case m.updated.Equal(kept[i].updated) && (!m.scheduledFor.Equal(kept[i].scheduledFor) ||
			!m.scheduledUntil.Equal(kept[i].scheduledUntil)):
			kept[i].clash = true
		}
	}
	return kept
}

// add adds another feed.
func (l *maintenances) add(more *maintenances) {
	l.items = newest(append(l.items, more.items...))
	for _, b := range more.bad {
		if !slices.ContainsFunc(l.bad, func(known unreadable) bool { return known.id == b.id }) {
			l.bad = append(l.bad, b)
		}
	}
}

// oldest returns the earliest scheduled start.
func (l *maintenances) oldest() time.Time {
	var oldest time.Time
	for _, m := range l.items {
		if oldest.IsZero() || m.scheduledFor.Before(oldest) {
			oldest = m.scheduledFor
		}
	}
	return oldest
}
