package maintenance_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func FuzzReadAnswer(f *testing.F) {
	f.Add(`{"version": 1, "source": "a", "at": "2026-01-10T02:00:00Z",
		"range": {"start": "2025-01-10T02:00:00Z", "end": "2027-01-10T02:00:00Z"},
		"windows": [{"id": "m1", "start": "2026-01-10T02:00:00Z", "end": "2026-01-10T05:00:00Z"}],
		"warnings": [{"kind": "incomplete", "span": {"start": "0001-01-01T00:00:00Z"}, "window": "m2", "text": "odd"}]}`)
	f.Add(`{"version": 1, "source": "b"}`)
	f.Add(`{"windows": null}`)
	f.Fuzz(func(t *testing.T, text string) {
		windows, err := maintenance.ReadAnswer(strings.NewReader(text), "a")
		if err != nil {
			require.Nil(t, windows)
			return
		}
		for _, w := range windows {
			require.NoError(t, w.Validate())
		}
	})
}
