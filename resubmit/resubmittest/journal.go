package resubmittest

import (
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/journaltest"
)

// JournalOpener is a function that opens the journal in a directory, which is empty the first time. Opened again, the
// journal must have its records: keep a journal in memory by its directory. If it is an [io.Closer], it is closed
// before it is opened again.
type JournalOpener func(dir string) (resubmit.Journal, error)

// TestJournal checks that a journal keeps the contract of [resubmit.Journal], each promise in a subtest. To check that
// Put makes a record durable, it copies the directory, as a crash would leave it. A journal without files there is not
// checked for that, which the test log says.
//
//	func TestMyJournal(t *testing.T) {
//		resubmittest.TestJournal(t, func(dir string) (resubmit.Journal, error) {
//			return myjournal.Open(filepath.Join(dir, "journal"))
//		})
//	}
func TestJournal(t *testing.T, open JournalOpener) {
	t.Helper()
	journaltest.Run(t, journaltest.Opener(open))
}
