package maintenance

import "cmp"

// announcedAs identifies the same maintenance in two sources.
type announcedAs struct{ start, end int64 }

// mergeWindows merges the windows of several sources, the first taking precedence. Two
// windows of the same source are never merged.
func mergeWindows(lists [][]Window) []Window {
	var merged []Window
	open := make(map[announcedAs][]int) // indices in merged
	for _, list := range lists {
		met := make(map[announcedAs]int) // how many of this source came before
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

// mergeWindow merges one maintenance that two sources announce; a comes first.
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

// knowledge ranks how much is known about the actual times of a window. They are taken
// from one source, since those of two may contradict each other.
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
