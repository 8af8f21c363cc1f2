package maintenance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestMultiMergeProperties(t *testing.T) {
	t.Parallel()
	type announced struct{ start, end time.Time }
	base := time.Now().UTC().Truncate(time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		var sources []maintenance.NamedSource
		most := map[announced]int{} // by one source
		begun := map[announced]bool{}
		for i := range rapid.IntRange(1, 4).Draw(t, "sources") {
			name := fmt.Sprint("s", i)
			count := map[announced]int{}
			var windows []maintenance.Window
			for j := range rapid.IntRange(0, 5).Draw(t, "windows") {
				w := maintenance.Window{ID: fmt.Sprint(j), Start: base.Add(time.Duration(rapid.IntRange(0, 2).Draw(t,
					"start")) * time.Hour)}
				w.End = w.Start.Add(time.Duration(rapid.IntRange(1, 2).Draw(t, "length")) * time.Hour)
				key := announced{w.Start, w.End}
				switch rapid.IntRange(0, 2).Draw(t, "kind") {
				case 0:
					w.Cancelled = true
				case 1:
					w.ActualStart = w.Start
					begun[key] = true
				}
				count[key]++
				most[key] = max(most[key], count[key])
				windows = append(windows, w)
			}
			sources = append(sources, maintenance.NamedSource{Name: name, Source: fixedSource(nil, windows...)})
		}
		m, err := maintenance.NewMulti(sources)
		require.NoError(t, err)
		merged, err := m.Windows(t.Context(), base.Add(-time.Hour), base.Add(24*time.Hour))
		require.NoError(t, err)

		got, ids, goesOn := map[announced]int{}, map[string]bool{}, map[announced]bool{}
		for _, w := range merged {
			key := announced{w.Start, w.End}
			got[key]++
			require.False(t, ids[w.ID], "ids must be unique")
			ids[w.ID] = true
			require.NoError(t, w.Validate())
			goesOn[key] = goesOn[key] || !w.ActualStart.IsZero() && !w.Cancelled
		}
		require.Equal(t, most, got)
		for key := range begun {
			require.True(t, goesOn[key], "no merge takes back that a maintenance has begun")
		}
	})
}
