package sqljournal

import (
	"context"
	"errors"
	"iter"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Get implements [resubmit.Journal].
func (j *Journal) Get(ctx context.Context, k protocol.Key) (found protocol.Record, err error) {
	key := keyHash(k)
	err = j.retry(ctx, func(ctx context.Context) error {
		return j.tables.eachRow(ctx, j.db, " WHERE key_hash = ?", []any{key[:]}, func(row row) (err error) {
			found, err = row.decode()
			return err
		})
	})
	if err != nil {
		return protocol.Record{}, j.errorf(err)
	}
	return found, nil
}

// errStop means that no more records are wanted.
var errStop = errors.New("stop")

// Records implements [resubmit.Journal]. The records are read from the database one by one, with one statement.
func (j *Journal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		err := j.tables.eachRow(ctx, j.db, "", nil, func(row row) error {
			r, err := row.decode()
			if err == nil && !yield(r, nil) {
				err = errStop
			}
			return err
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(protocol.Record{}, j.errorf(err))
		}
	}
}

// Flush implements [resubmit.Journal]. All records are durable already.
func (j *Journal) Flush(ctx context.Context) (plan.Position, error) {
	h, err := j.read(ctx, plan.Position{})
	if err == nil && !h.begun() {
		err = errNotBegun
	}
	if err != nil {
		return plan.Position{}, j.errorf(err)
	}
	return h.at, nil
}
