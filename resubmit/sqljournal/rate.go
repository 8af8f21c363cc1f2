package sqljournal

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// farAhead is how far ahead calls are reserved at most, except with a longer lead.
	farAhead = time.Second
	// farthest is further ahead than the last call of any process can be, less a gap: at a lead of 3 s, 3 s and then
	// calls for 3.1 s.
	farthest = 7 * time.Second
	// goodTrip is how long the database may take to tell the time, so that it is not asked again.
	goodTrip = 5 * time.Millisecond
	// trips is how often it is asked.
	trips = 3
)

// Reserve implements [resubmit.SharedRate]. Turns are taken by the clock of the database, in one statement, so the
// clocks of the machines do not matter. A call that was reserved is lost if its process dies. After an error or a lost
// connection it tries again, as Put does.
func (j *Journal) Reserve(
	ctx context.Context, calls int, first, gap, lead time.Duration,
) (n int, at time.Time, err error) {
	err = j.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		conn, err := j.db.Conn(ctx)
		if err != nil {
			return err
		}
		var reserved int64
		if reserved, err = j.tables.reserve(ctx, conn, calls, first, gap, lead); err == nil {
			at, err = j.tables.localTime(ctx, conn, reserved, first-max(farAhead, lead))
		}
		if n = calls; reserved == 0 {
			n = 0
		}
		if err != nil {
			discard(conn)
		}
		_ = conn.Close() // returns it to the pool
		return err
	})
	if err != nil {
		return 0, time.Time{}, j.errorf(err)
	}
	return n, at, nil
}

// reserve reserves calls and returns the time of the first; 0 if that is too far ahead. A last call that is further
// ahead than any can be was reserved before the clock was set back, or at a lower rate.
func (t *tables) reserve(
	ctx context.Context, conn *sql.Conn, calls int, first, gap, lead time.Duration,
) (int64, error) {
	last := fmt.Sprintf("{min}(last_at, {start} + %d)", (farthest + gap).Microseconds())
	at := fmt.Sprintf("{max}(%s + %d, {start} + %d)", last, first.Microseconds(), lead.Microseconds())
	soon := fmt.Sprintf("%s <= {start} + %d", at, max(farAhead, lead).Microseconds())
	update := fmt.Sprintf("UPDATE {calls} SET reserved_at = {insertID}(CASE WHEN %s THEN %s ELSE 0 END), "+
		"last_at = CASE WHEN %s THEN %s + %d ELSE %s END",
		soon, at, soon, at, (time.Duration(calls-1)*gap + max(0, gap-first)).Microseconds(), last)
	if t.insertID == "" {
		var reserved int64
		err := conn.QueryRowContext(ctx, t.sql(update+" RETURNING reserved_at")).Scan(&reserved)
		return reserved, err
	}
	result, err := conn.ExecContext(ctx, t.sql(update))
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// localTime returns a reserved time by the clock of this process; for 0 it is the time to ask again, which is ask after
// the last call.
func (t *tables) localTime(
	ctx context.Context, conn *sql.Conn, reserved int64, ask time.Duration,
) (at time.Time, err error) {
	best := time.Duration(-1)
	for i := 0; i < trips && (best < 0 || best > goodTrip); i++ {
		var now, last int64
		asked := time.Now()
		err := conn.QueryRowContext(ctx, t.sql("SELECT {now}, last_at FROM {calls}")).Scan(&now, &last)
		if err != nil {
			return at, err
		}
		trip := time.Since(asked)
		if best >= 0 && trip >= best {
			continue
		}
		best = trip
		rest := time.Duration(cmp.Or(reserved, last)-now) * time.Microsecond
		if reserved == 0 {
			rest += ask
		}
		at = asked.Add(trip/2 + rest)
	}
	return at, nil
}
