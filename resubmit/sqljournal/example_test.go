//go:build unix

package sqljournal_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "billing.db")+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := sqljournal.Migrate(ctx, db, sqljournal.SQLite); err != nil {
		log.Fatal(err)
	}
	journal, err := sqljournal.Open(ctx, db, sqljournal.SQLite)
	if err != nil {
		log.Fatal(err)
	}
	// Usually the planner and the Runner do this.
	lease, err := journal.Begin(ctx, resubmit.JournalUse{
		System: "ordermanager https://mn.example.net:6308", BaseURL: "https://mn.example.net:6308", IDSpace: "aps",
		Plan: "sha256:0123", Owner: "nightly@host",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a lease of", lease.Duration)
	// Output: a lease of 1m0s
}
