package maintenance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// windowsFile has a window of which the id can be chosen.
func windowsFile(id string) string {
	return `{"windows": [{"id": "` + id + `", "start": "2026-01-10T02:00:00Z", "end": "2026-01-10T05:00:00Z"}]}`
}

func TestFileSourceRereadsChangedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "windows.json")
	source := maintenance.NewFileSource(path)
	ask := func() ([]string, error) {
		windows, err := source.Windows(t.Context(), instant(t, "2026-01-01T00:00:00Z"), instant(t, "2026-02-01T00:00:00Z"))
		for _, w := range windows {
			require.Equal(t, path, w.Source)
		}
		return windowIDs(windows), err
	}
	write := func(text string, changed time.Time) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, changed, changed))
	}
	long := time.Now().Add(-time.Hour)

	_, err := ask()
	require.ErrorIs(t, err, os.ErrNotExist)
	_, failure := maintenance.SplitWarnings(err)
	require.Error(t, failure, "a file that was never read is no warning")

	write(windowsFile("one"), long)
	ids, err := ask()
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, ids)

	write(windowsFile("two"), long.Add(time.Minute))
	ids, err = ask()
	require.NoError(t, err)
	require.Equal(t, []string{"two"}, ids, "of the same size, but changed")

	write(`{"windows": [`, long.Add(2*time.Minute))
	for range 2 {
		ids, err = ask()
		require.Equal(t, []string{"two"}, ids, "the last good one counts after a broken edit")
		require.ErrorIs(t, err, maintenance.ErrStale)
		require.ErrorContains(t, err, path+": line 1, column 13: is not JSON")
		require.NotContains(t, err.Error(), "\n")
		_, failure = maintenance.SplitWarnings(err)
		require.NoError(t, failure)
	}

	require.NoError(t, os.Remove(path))
	ids, err = ask()
	require.Equal(t, []string{"two"}, ids)
	require.ErrorIs(t, err, maintenance.ErrStale)
	require.ErrorIs(t, err, os.ErrNotExist)

	write(windowsFile("three"), long.Add(3*time.Minute))
	ids, err = ask()
	require.NoError(t, err)
	require.Equal(t, []string{"three"}, ids)
}

func TestFileSourceRereadsChangeWithinTimeResolution(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "windows.json")
	source := maintenance.NewFileSource(path)
	now := time.Now() // so close to the reading, another change may have the same time
	for _, id := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(path, []byte(windowsFile(id)), 0o600))
		require.NoError(t, os.Chtimes(path, now, now))
		windows, err := source.Windows(t.Context(), instant(t, "2026-01-01T00:00:00Z"), instant(t, "2026-02-01T00:00:00Z"))
		require.NoError(t, err)
		require.Equal(t, []string{id}, windowIDs(windows))
	}
}

func ExampleFileSource() {
	dir, err := os.MkdirTemp("", "windows")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "windows.json")
	source := maintenance.NewFileSource(path)
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, text := range []string{
		`{"windows": [{"id": "upgrade", "start": "2026-01-10T02:00:00Z", "duration": "3h"}]}`,
		`{"windows": [{"id": "upgrade", "start": "2026-01-10T02:00`, // an edit that went wrong
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
		windows, err := source.Windows(context.Background(), from, from.AddDate(0, 1, 0))
		fmt.Println(windows, errors.Is(err, maintenance.ErrStale))
	}
	// Output:
	// [upgrade: 2026-01-10 02:00 UTC to 2026-01-10 05:00 UTC] false
	// [upgrade: 2026-01-10 02:00 UTC to 2026-01-10 05:00 UTC] true
}
