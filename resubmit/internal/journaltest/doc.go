// Package journaltest checks that a journal keeps the contract of [resubmit.Journal].
//
//	journaltest.Run(t, func(dir string) (resubmit.Journal, error) {
//		return myjournal.Open(filepath.Join(dir, "journal"))
//	})
package journaltest
