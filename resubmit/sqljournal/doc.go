// Package sqljournal is a [resubmit.Journal] in a database, which several processes and machines share: PostgreSQL,
// MariaDB, MySQL or SQLite, through database/sql. The driver is yours.
//
//	db, err := sql.Open("pgx", "postgres://billing@db.example.net/billing")
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//	if err := sqljournal.Migrate(ctx, db, sqljournal.PostgreSQL); err != nil { // creates the tables
//		return err
//	}
//	journal, err := sqljournal.Open(ctx, db, sqljournal.PostgreSQL)
//	systems.SharedRate = journal // one rate limit for all processes
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: journal})
//
// Use one journal for each installation of Commerce; [WithPrefix] distinguishes those of one database.
//
// # Guarantees
//
// A Put is one transaction. It locks the row of the journal, so that all writes of all processes happen one after the
// other and in the order of their sequence numbers, compares the version of each record that it replaces (the order and
// its lanes), and writes all or none. The versions are conditions of the statements too. Calls that wait at the same
// time share a transaction. Deferred records are written as Durable ones are.
//
// After an error or a lost connection, a transaction is repeated for three quarters of a lease, as Get, Begin and Flush
// are: until its commit, nothing was written. If the commit itself got no answer, the next transaction, which has to
// wait until the lost one is over, reads whether it was written; if that cannot be found out in this time either, Put
// returns an error that says so.
//
// The end of a lease is computed by the clock of the database. Get and Records give it by the clock of the machine that
// reads it. The clocks may differ.
//
// Each transaction leaves a random hash at its sequence number. A plan, an anchor and each process compare the one that
// they know: if the database was restored from a backup, or a replica took over that lacks the last writes, the next
// write fails with [resubmit.ErrJournalMismatch]. Stop all runs before you restore a database, and call [Recover]
// afterwards. The failover to an asynchronous replica can lose the last claims; use a synchronous one.
//
// # Several processes
//
// Any number of processes can apply one plan, on one machine or several: give each the journal, its rate limit
// (resubmit.Systems.SharedRate) and a copy of the plan. Each begins in another part of the plan, leaves an order to the
// process that has claimed it, and reports the outcome of all orders. If a process dies, the others complete its
// orders when its lease is over. One that was suspended for longer sends nothing when it continues.
//
// [Journal.Reserve] gives the processes their turns to call Commerce and Connect, by the clock of the database. A
// process makes a call only in the 25 ms after its turn, and half the time between two turns longer; otherwise it waits
// for another turn, and the first one is lost. So no second has more calls than the limit and one more, at the servers
// too if the network delays calls by less than about that. A turn takes two short statements, which serve all calls of
// a tenth of a second.
//
// A Retry-After that one process is sent, an open circuit and what operators want (resubmit.ChangeControl, or the
// commands of a state directory with this journal) are records. All processes read them each second.
// resubmit.RecordedReport reports what all processes did, at any time. The directory example has a program to try.
//
// # Plans
//
// [Journal.Plans] is a [plan.Store]: plans with their signatures, in pieces of a megabyte, for workers that share no
// disk (package resubmit/temporal). What is read is compared with the digest.
//
// # Databases
//
// PostgreSQL 15: any isolation level, any pool; a transaction ends after 10 s without a statement, if the process that
// has it was suspended. It is rejected if synchronous_commit or fsync is off.
//
// MariaDB 10.11 and MySQL 8: tables are of InnoDB. innodb_flush_log_at_trx_commit must be 1. Set timeouts, and save
// round trips, in the data source name: "timeout=5s&readTimeout=10s&writeTimeout=10s&interpolateParams=true". On
// MariaDB, the transaction of a suspended process ends after 10 s; on MySQL add "wait_timeout=30", because otherwise it
// may hold up the other processes until it continues. MySQL is supported according to its documentation only; the tests
// use MariaDB.
//
// SQLite 3.42, for several processes of one machine, on a local disk: the pragmas journal_mode must be wal and
// synchronous full, and busy_timeout should be some seconds. A process that is suspended during a transaction holds up
// the others until it continues or ends.
//
// # Privileges
//
// [Migrate] creates the tables and must be called again after an update of this package; it may have a user of its own.
// [Open] and the journal need, with the default prefix:
//
//	GRANT SELECT ON cloudblue_migrations TO resubmit;
//	GRANT SELECT, UPDATE ON cloudblue_journal TO resubmit;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON cloudblue_records TO resubmit;
//	GRANT SELECT, INSERT, DELETE ON cloudblue_positions TO resubmit;
//	GRANT SELECT, UPDATE ON cloudblue_calls TO resubmit;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON cloudblue_plans TO resubmit;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON cloudblue_plan_pieces TO resubmit;
//
// The last two are for [Journal.Plans] alone.
// Whoever only reads, such as a console, needs SELECT on these tables. The migrations only add to the tables, so that
// processes of both versions can use the journal during an update.
//
// Records contain the numbers of orders, lanes such as subscriptions and the texts of errors, as JSON in the column
// body; keys are hashes. Nothing in them is secret, but they are business data.
//
// # Errors and concurrency
//
// Errors are one line and name the tables. A Journal is safe for concurrent use. It has no goroutine after its calls
// have returned, and leaves closing the database to you.
package sqljournal
