package main

import (
	"cmp"
	"context"
	"database/sql"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

const (
	// rate is the limit of calls per second, of all processes together.
	rate = 10
	// lease and settle are shorter than the defaults, so that the orders of the killed process are completed soon.
	lease  = 10 * time.Second
	settle = 4 * time.Second
)

// settings are what the processes must know.
type settings struct {
	commerce, connect string // URLs
	postgres          string // "": SQLite
	dir               string
}

// opened is what a process uses.
type opened struct {
	db       *sql.DB
	journal  *sqljournal.Journal
	systems  resubmit.Systems
	policy   resubmit.Policy
	calendar *maintenance.Calendar
}

// open opens the database and the journal, and makes the clients.
func (s *settings) open(ctx context.Context) (*opened, error) {
	dialect, driver, dsn := sqljournal.SQLite, "sqlite", "file:"+filepath.Join(s.dir, "journal.db")+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	if s.postgres != "" {
		dialect, driver, dsn = sqljournal.PostgreSQL, "pgx", s.postgres
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	prefix := sqljournal.WithPrefix("example_")
	if err := sqljournal.Migrate(ctx, db, dialect, prefix); err != nil {
		return nil, err
	}
	o := &opened{db: db, policy: resubmit.Policy{SettleDelay: settle}}
	if o.journal, err = sqljournal.Open(ctx, db, dialect, prefix, sqljournal.WithLease(lease)); err != nil {
		return nil, err
	}
	orders, err1 := ordermanager.New(s.commerce, ordermanager.Token(commercetest.DefaultToken))
	requests, err2 := connect.New(s.connect, connect.APIKey(connecttest.DefaultKey))
	calendar, err3 := maintenance.NewCalendar([]maintenance.Window{window()})
	o.calendar = calendar
	o.systems = resubmit.SystemsOf(orders, orders)
	o.systems.Requests, o.systems.Prober = requests, requests
	o.systems.SharedRate = o.journal // one limit for all processes
	return o, cmp.Or(err1, err2, err3)
}

// window is the maintenance of Connect in which the orders failed.
func window() maintenance.Window {
	end := time.Now().Add(-time.Hour).UTC().Truncate(time.Hour)
	return maintenance.Window{ID: "CHG-1", Start: end.Add(-2 * time.Hour), End: end}
}
