package resubmit

import "slices"

// CheckSkim skims a plan as a run does whose journal tells some records, and says where
// it is wrong. It returns how many orders have ended.
func CheckSkim(p *Plan, records []Record, wrong func(format string, args ...any)) (ended int) {
	all, lanes := newEndedOrders(len(records)), newLaneSet(0)
	for _, r := range records {
		head := r.Head()
		all.add(&head)
	}
	var dec entryReader
	entries := make([]*Entry, 0, p.counts.Total)
	for line, err := range p.lines() {
		e := new(Entry)
		if err == nil {
			err = dec.read(line.text, e)
		}
		if err != nil {
			wrong("reading it: %v", err)
		}
		entries = append(entries, e)
	}
	for l, err := range p.skim(all, lanes.seed) {
		if err != nil {
			wrong("skimming it: %v", err)
			return ended
		}
		e, err := l.entry()
		if err != nil || len(entries) == 0 || e.Fingerprint != entries[0].Fingerprint {
			wrong("line %d is %v and %v", l.number, e, err)
			return ended
		}
		entries = entries[1:]
		if l.isEnded {
			ended++
			checkGlance(l, e, records, lanes, wrong)
		}
	}
	if len(entries) > 0 {
		wrong("%d lines are missing", len(entries))
	}
	return ended
}

func checkGlance(l *skimmedLine, e *Entry, records []Record, lanes *laneSet, wrong func(string, ...any)) {
	var want []uint64
	for _, k := range laneKeys(e) {
		want = append(want, lanes.hash(k))
	}
	slices.Sort(want)
	got := slices.Clone(l.lanes)
	slices.Sort(got)
	is := slices.ContainsFunc(records, func(r Record) bool {
		return r.OrderID == e.OrderID && r.Fingerprint == e.Fingerprint && Outcome(r.State) == l.ended.outcome() &&
			free(Outcome(r.State), r.Seen) && r.Attempt > 0 == l.ended.pushed()
	})
	switch {
	case !is:
		wrong("order %q has not ended as %s", e.OrderID, l.ended.outcome())
	case e.Decision.Action != Resubmit:
		wrong("order %q is not to be resubmitted", e.OrderID)
	case !slices.Equal(slices.Compact(got), want):
		wrong("order %q has other lanes", e.OrderID)
	case l.group.key != groupKey{e.Attribution.Class, e.VendorID, e.Channel} || l.group.canary != new(Canary).groupOf(e):
		wrong("order %q is in the group %v", e.OrderID, l.group)
	}
}
