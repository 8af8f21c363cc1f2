package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// lanes are the records of the lanes of an order as they are in the journal; nil while they are not known.
type lanes []Record

// knownLanes returns lanes that are known, even if there is none.
func knownLanes(records []Record) lanes { return append(make(lanes, 0, len(records)), records...) }

// stored notes that the record of a lane was written with a sequence number.
func (l lanes) stored(r Record, seq uint64) {
	if i := slices.IndexFunc(l, func(is Record) bool { return is.Key == r.Key }); i >= 0 {
		r.Version = seq
		l[i] = r
	}
}

// busy returns another order that has a lane, and says so; "" if there is none.
func (l lanes) busy(order string) (other, why string) {
	for _, r := range l {
		lane := r.Lane
		if lane == nil || lane.Order == order || lane.Order == "" {
			continue
		}
		what := "has not ended yet"
		if lane.Blocked {
			what = "did not end well"
		}
		other = cmp.Or(lane.Number, lane.Order)
		return other, fmt.Sprintf("blocked by %s, another order of the same %s, which %s", other, r.ID, what)
	}
	return "", ""
}

// overtaken returns a newer order that had a lane, and says so; "" if there is none.
func (l lanes) overtaken(p *Planned) (other, why string) {
	for _, r := range l {
		lane := r.Lane
		if lane != nil && lane.Order != p.ID && lane.Overtook(p.ID, p.PlacedAt) {
			return lane.Newest, fmt.Sprintf("a newer order of the same %s was pushed before: %s", r.ID, lane.Newest)
		}
	}
	return "", ""
}

// taken returns the records with which an order takes the lanes.
func (l lanes) taken(p *Planned, now time.Time) []Record {
	records := make([]Record, len(l))
	for i, r := range l {
		next := Lane{Order: p.ID, Number: p.Number, Newest: p.ID, NewestAt: p.PlacedAt}
		if r.Lane != nil && r.Lane.NewestAt.After(next.NewestAt) {
			next.Newest, next.NewestAt = r.Lane.Newest, r.Lane.NewestAt
		}
		records[i] = Record{Key: r.Key, Version: r.Version, At: now, Lane: &next}
	}
	return records
}

// ends returns the records of the lanes that an order has, after its end.
func (l lanes) ends(order string, free bool, now time.Time) []Record {
	var ends []Record
	for _, r := range l {
		if r.Lane == nil || r.Lane.Order != order {
			continue
		}
		next := *r.Lane
		if next.Blocked = !free; free {
			next.Order, next.Number = "", ""
		}
		ends = append(ends, Record{Key: r.Key, Version: r.Version, At: now, Lane: &next})
	}
	return ends
}
