package maintenance

import "cmp"

// announcedAs is what makes windows of two sources the same maintenance.
type announcedAs struct{ start, end int64 }

// mergeWindows makes one list of those of several sources, the first of which goes
// before the others. Windows of one and the same source are never taken for one.
func mergeWindows(lists [][]Window) []Window {
	var merged []Window
	open := make(map[announcedAs][]int) // places in merged
	for _, list := range lists {
		met := make(map[announcedAs]int) // how many of this source were there
		for _, w := range list {
			key := announcedAs{w.Start.UnixNano(), w.End.UnixNano()}
			if n := met[key]; n < len(open[key]) {
				i := open[key][n]
				merged[i] = mergeWindow(merged[i], w)
			} else {
				open[key] = append(open[key], len(merged))
				merged = append(merged, w)
			}
			met[key]++
		}
	}
	sortWindows(merged)
	return merged
}

// mergeWindow is one maintenance that two sources tell; a comes first.
func mergeWindow(a, b Window) Window {
	merged, other := a, b
	if knowledge(b) > knowledge(a) {
		merged, other = b, a
	}
	merged.ID, merged.Source = a.ID, a.Source+", "+b.Source
	merged.Title = cmp.Or(merged.Title, other.Title)
	merged.Zone = cmp.Or(merged.Zone, other.Zone)
	merged.Cancelled = a.Cancelled && (b.Cancelled || knowledge(b) == 0) || b.Cancelled && knowledge(a) == 0
	return merged
}

// knowledge ranks what is known of how a window really went. Its times are taken
// from one source alone, since those of two need not fit together.
func knowledge(w Window) int {
	rank := 0
	if !w.ActualStart.IsZero() {
		rank++
	}
	if !w.ActualEnd.IsZero() {
		rank += 2
	}
	return rank
}
