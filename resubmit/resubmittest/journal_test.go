package resubmittest_test

import (
	"path/filepath"
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	resubmittest.TestJournal(t, func(dir string) (resubmit.Journal, error) {
		return journal.Open(filepath.Join(dir, "journal"))
	})
}
