package journal_test

import (
	"path/filepath"
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/journaltest"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func TestFileKeepsItsPromises(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(dir string) (resubmit.Journal, error) {
		return journal.Open(filepath.Join(dir, "journal"))
	})
}
