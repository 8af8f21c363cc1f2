package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Begin implements [resubmit.Journal]. The first call creates the file. A lease lasts until the
// journal is closed. A journal that is read-only has no leases and does not recognize later the
// positions that it returns.
func (f *File) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	f.log.mu.Lock()
	b, l, err := f.begin(ctx, u)
	f.log.mu.Unlock()
	if err == nil {
		err = b.wait(ctx)
	}
	if err != nil {
		return resubmit.Lease{}, err
	}
	l.Position = b.at
	return l, nil
}

func (f *File) begin(ctx context.Context, u resubmit.JournalUse) (b *batch, l resubmit.Lease, err error) {
	if err := f.usable(ctx, u.Plan != ""); err != nil {
		return nil, l, err
	}
	if err := f.log.recognize(u.After); err != nil {
		return nil, l, f.log.errorf(err)
	}
	if err := f.bind(u); err != nil {
		return nil, l, f.log.errorf(err)
	}
	l.ForgottenBefore = f.log.contents.header.ForgottenBefore
	if u.Plan == "" {
		return f.log.flush(true), l, nil
	}
	f.log.sequence++
	l.Epoch = f.log.sequence
	r := record{kind: kindBegin, version: l.Epoch, id: []byte(u.Plan)}
	f.log.contents.pending.text = appendRecord(f.log.contents.pending.text, r, nil)
	return f.log.flush(true), l, nil
}

// bind binds a new journal to the system, or checks that it belongs to it.
func (f *File) bind(u resubmit.JournalUse) error {
	was := f.log.contents.header
	h := was
	h.System, h.BaseURL, h.IDSpace = u.System, u.BaseURL, u.IDSpace
	switch {
	case !h.begun():
		return errors.New("the system in JournalUse is empty")
	case was.begun() && was.system() != h.system():
		return fmt.Errorf("%w: it belongs to %q, not to %q", resubmit.ErrJournalSystem, was.system(), h.system())
	case was.begun() || f.options.readOnly:
		return nil
	}
	err := f.rewrite(h, time.Time{})
	if err != nil {
		err = fmt.Errorf("create: %w", err)
		f.log.err = f.log.errorf(err)
	}
	return err
}

// Flush implements [resubmit.Journal].
func (f *File) Flush(ctx context.Context) (plan.Position, error) {
	f.log.mu.Lock()
	err := f.usable(ctx, false)
	if err == nil && f.log.contents.file == nil {
		err = f.log.errorf(errNotBegun)
	}
	if err != nil {
		f.log.mu.Unlock()
		return plan.Position{}, err
	}
	b := f.log.flush(false)
	f.log.mu.Unlock()
	if err := b.wait(ctx); err != nil {
		return plan.Position{}, err
	}
	return b.at, nil
}

var errNotBegun = errors.New("the journal is new and belongs to no system; call Begin first")
