package sqljournal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

var errNotBegun = errors.New("the journal is new and belongs to no system; call Begin first")

// poll is how often a run reads what other processes have recorded for it.
const poll = time.Second

// Begin implements [resubmit.Journal]. Whoever gives no plan needs to read only, after the first time.
func (j *Journal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	h, err := j.begin(ctx, u)
	if err != nil {
		return resubmit.Lease{}, j.errorf(err)
	}
	l := resubmit.Lease{Position: h.at, Duration: j.lease, Poll: poll}
	if u.Plan != "" {
		l.Epoch = h.at.Sequence
	}
	if h.forgotten != 0 {
		l.ForgottenBefore = time.UnixMicro(h.forgotten).UTC()
	}
	return l, nil
}

func (j *Journal) begin(ctx context.Context, u resubmit.JournalUse) (header, error) {
	system := [3]string{u.System, u.BaseURL, u.IDSpace}
	if system == [3]string{} {
		return header{}, errors.New("the system in JournalUse is empty")
	}
	h, err := j.read(ctx, u.After)
	if err == nil {
		err = h.checkSystem(system)
	}
	if err != nil || h.begun() && u.Plan == "" {
		return h, err
	}
	if err := j.prune(ctx); err != nil {
		return h, err
	}
	err = j.transact(ctx, func(ctx context.Context, t *transaction) error {
		if err := t.bind(ctx, system); err != nil {
			return err
		}
		t.next()
		h = t.header
		return j.forgetPositions(ctx, t)
	})
	return h, err
}

// bind binds a new journal to the system, or checks that it belongs to it.
func (t *transaction) bind(ctx context.Context, system [3]string) error {
	if t.begun() {
		return t.checkSystem(system)
	}
	t.commerce = system
	return t.exec(ctx, 1, "UPDATE {journal} SET commerce = ?, base_url = ?, id_space = ?",
		[]byte(system[0]), []byte(system[1]), []byte(system[2]))
}

func (h *header) checkSystem(system [3]string) error {
	if h.begun() && h.commerce != system {
		return permanent{fmt.Errorf("%w: it belongs to %q, not to %q", resubmit.ErrJournalSystem, h.commerce, system)}
	}
	return nil
}

// prune removes the records that are so old that they may be removed.
func (j *Journal) prune(ctx context.Context) error {
	if j.retention == 0 {
		return nil
	}
	for {
		old, err := j.old(ctx)
		if len(old) == 0 || err != nil {
			return err
		}
		_, err = j.Put(ctx, resubmit.Durable, old...)
		if _, ok := errors.AsType[*resubmit.ConflictError](err); ok {
			return nil // somebody else removes them, or writes one of them; the next run removes the others
		}
		if err != nil {
			return err
		}
	}
}

// old returns records to be written that remove some old ones.
func (j *Journal) old(ctx context.Context) (old []protocol.Record, err error) {
	limit := time.Now().Add(-j.retention).UnixMicro()
	err = j.tables.eachRow(ctx, j.db, " WHERE rest_at < ? LIMIT "+strconv.Itoa(maxBatch), []any{limit}, func(r row) error {
		old = append(old, protocol.Record{Key: protocol.Key{Kind: r.kind, ID: string(r.id)}, Version: r.version})
		return nil
	})
	return old, err
}

// keepPositions is how long positions are kept at least, since plans and anchors may be older than records.
const keepPositions = 400 * 24 * time.Hour

// forgetPositions removes the old positions.
func (j *Journal) forgetPositions(ctx context.Context, t *transaction) error {
	if j.retention == 0 {
		return nil
	}
	_, err := t.conn.ExecContext(ctx, t.sql("DELETE FROM {positions} WHERE written_at < ?"),
		t.now-max(j.retention, keepPositions).Microseconds())
	return err
}
