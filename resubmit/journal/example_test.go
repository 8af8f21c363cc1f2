package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func ExampleOpen() {
	folder, err := os.MkdirTemp("", "journal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "maintenance.journal")

	j, err := journal.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A Runner does this for each order of its plan.
	err = errors.Join(j.Begin("sha256:4711"), j.Put(resubmit.Record{
		OrderID: "1000042", State: resubmit.RecordSending, Attempt: 1, Target: "PD", At: time.Now(),
		Why: "about to be pushed",
	}))
	if err != nil {
		fmt.Println(err)
	}

	_, err = journal.Open(path, journal.Wait(0)) // as a second process would
	if held, ok := errors.AsType[*journal.HeldError](err); ok {
		fmt.Println("in use by this process:", held.Holder.PID == os.Getpid())
	}
	if err := j.Close(); err != nil {
		fmt.Println(err)
	}

	summary, err := journal.Inspect(path)
	fmt.Println(summary.Plan, summary.Records, summary.States, err)
	// Output:
	// in use by this process: true
	// sha256:4711 1 map[sending:1] <nil>
}
