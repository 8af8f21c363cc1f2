package journal_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// mapped is how much of a file is in the memory of this process, in KiB.
func mapped(t *testing.T, path string) (kib int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	inside := false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			inside = fields[len(fields)-1] == path
		case inside && fields[0] == "Rss:":
			n, err := strconv.Atoi(fields[1])
			require.NoError(t, err)
			kib += n
		}
	}
	return kib
}

func TestMemoryDoesNotGrowWithTheJournal(t *testing.T) {
	t.Parallel()
	path := filled(t, 4096)
	j := open(t, path, journal.NoSync())
	require.NoError(t, j.Begin(plan))
	info, err := os.Stat(path)
	require.NoError(t, err)
	for range 3 { // times every page of the table is written
		for n := range 4096 {
			require.NoError(t, j.PutLater(record(strconv.Itoa(n), resubmit.RecordCompleted)))
		}
		require.NoError(t, j.Check())
		require.Less(t, mapped(t, path), int(info.Size()>>10)/4)
	}
}
