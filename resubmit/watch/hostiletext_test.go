package watch_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// hostileChars has control characters, invisible ones and those that reorder text.
const hostileChars = "\x1b]0;title\a\x1b[2J\u009b31m\u202eevil\u2066\u200d\u200e\x7f\u2028\ufeff\ue000"

// hiddenText is the part of it that is allowed in the ID and the title of a window.
const hiddenText = "\u202eevil\u2066\u200d\u200e\u2028\ufeff\ue000"

// requireShown requires that a text has only visible characters and line ends.
func requireShown(t require.TestingT, text string) {
	require.True(t, utf8.ValidString(text))
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsGraphic(r), "%U in %.300q", r, text)
	}
}

func TestWatcherShowsNoHostileCharacters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := newSite(), upgrade()
		w.ID, w.Title = "CHG-1"+hiddenText, "Upgrade"+hiddenText
		s.notices = []notice{{window: w}}
		s.down = []maintenance.Span{w.Span()}
		s.breaks(w.Start.Add(10*time.Minute), outage+" "+hostileChars)
		dir := filepath.Join(t.TempDir(), "state")
		p := s.start(t, dir, nil, nil)
		for range 48 {
			pass(30 * time.Minute)
			requireShown(t, p.watcher.Status().String())
			for _, e := range p.watcher.Episodes() {
				requireShown(t, e.String()+e.Note)
			}
		}
		p.stop(t)
		require.NotEmpty(t, p.watcher.Episodes())
		require.Contains(t, fmt.Sprint(p.watcher.Episodes()), "CHG-1\ufffdevil")
		requireShown(t, strings.ReplaceAll(s.log(), "\n", ""))
		files := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".json" || ext == ".jsonl") {
				files++
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				requireShown(t, string(content))
			}
			return err
		}))
		require.GreaterOrEqual(t, files, 5, "the watcher's, and those of the run")
	})
}
