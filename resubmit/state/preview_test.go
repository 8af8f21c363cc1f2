package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

type list []*commerce.Order

func (l list) Orders(context.Context, commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range l {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
		return openJournal(path, "nightly", readOnly)
	}
	w.cfg.Systems.Lister = list{{
		ID: "1", Number: "SO1", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		PlacedAt: time.Now().Add(-time.Hour), Failure: commerce.Failure{Messages: map[string]string{"en": "502 Bad Gateway"}},
	}}
	w.cfg.Systems.Capabilities.Failure = true
	w.cfg.Plan.IgnoreConnect = true
	d := w.open()
	before, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	p, err := d.Preview(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 1, p.Counts().Resubmit)
	after, err := os.ReadDir(w.dir)
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing was written")

	_, err = d.Once(t.Context(), OnceOptions{})
	require.NoError(t, err)
	lock, err := d.takeLock() // another process plans
	require.NoError(t, err)
	defer lock.release()
	other := w.cfg.Plan
	other.OverrideIfFound = []string{"SO1"}
	p, err = d.Preview(t.Context(), &other)
	require.NoError(t, err)
	require.Equal(t, w.anchor.position().Journal, p.Header().Journal.Journal)
	for e, err := range p.Entries() {
		require.NoError(t, err)
		require.True(t, e.Named)
	}

	broken := w.cfg.Plan
	broken.Filter = nil
	_, err = d.Preview(t.Context(), &broken)
	oneLine(t, err)
}

func TestReadOnlyJournalIgnoresWrites(t *testing.T) {
	t.Parallel()
	j := new(resubmit.MemoryJournal)
	seq, err := readOnly{Journal: j}.Put(t.Context(), resubmit.Durable, protocol.Record{
		Key: protocol.Key{Kind: protocol.KindLane, ID: "x"}, Lane: &protocol.Lane{},
	})
	require.NoError(t, err)
	require.Zero(t, seq)
	for r := range j.Records(t.Context()) {
		t.Errorf("the record %v was written", r)
	}
}

func TestReadOnlyJournalKeepsARetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(1)...)
	w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
		return openJournal(path, "nightly", readOnly)
	}
	d := w.open()
	until := time.Now().Add(time.Hour).Round(0).UTC()
	key := protocol.Key{Kind: protocol.KindSystem, ID: "retry-after"}
	var version uint64
	put := func(ctx context.Context) (err error) {
		version, err = w.planned.Journal.Put(ctx, resubmit.Durable, protocol.Record{
			Key: key, Version: version, At: time.Now(), System: &protocol.System{RetryAfter: until},
		})
		return err
	}
	w.whilePlanning = put
	require.ErrorContains(t, d.Read(t.Context()), "there is no journal")
	w.whilePlanning = nil
	_, err := d.Once(t.Context(), OnceOptions{})
	require.NoError(t, err)

	w.whilePlanning = func(ctx context.Context) error { return errors.Join(put(ctx), put(ctx)) }
	require.NoError(t, d.Read(t.Context()))
	var found protocol.Record
	w.whilePlanning = func(ctx context.Context) (err error) {
		found, err = w.planned.Journal.Get(ctx, key)
		return err
	}
	_, err = d.Once(t.Context(), OnceOptions{})
	require.NoError(t, err)
	require.Equal(t, version, found.Version)
	require.Equal(t, until, found.System.RetryAfter)

	version = 0 // another process was first
	w.whilePlanning = put
	changed, ok := errors.AsType[*resubmit.ConflictError](d.Read(t.Context()))
	require.True(t, ok)
	require.Equal(t, found, changed.Current)

	w.whilePlanning = func(ctx context.Context) error {
		_, closing, err := d.journals.use(ctx, false)
		return errors.Join(err, put(ctx), closing())
	}
	_, ok = errors.AsType[*durable.LockedError](d.Read(t.Context()))
	require.True(t, ok, "a run has it")
}

// The plan says with which policy it is applied, also after the configuration has changed.
func TestContinuesWithThePolicyOfThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(1)...)
	w.cfg.Policy.SettleDelay = 7 * time.Minute
	var err error
	w.policy, err = json.Marshal(w.cfg.Policy.WithDefaults())
	require.NoError(t, err)
	w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return fmt.Errorf("an accident") }
	_, err = w.once()
	require.Error(t, err)
	w.cfg.Policy.SettleDelay = 0
	w.beforePush = func(_ context.Context, r *fakeRunner, _ *plan.Entry) error {
		require.Equal(t, 7*time.Minute, r.cfg.SettleDelay)
		again, err := json.Marshal(r.cfg.Policy.WithDefaults())
		require.NoError(t, err)
		require.JSONEq(t, string(w.policy), string(again))
		return nil
	}
	_, err = w.once()
	require.NoError(t, err)
	require.Len(t, w.sends(), 1)
}

func TestCalendarIsThatOfTheMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(1)...)
	known, err := maintenance.NewCalendar(nil)
	require.NoError(t, err)
	w.cfg.Calendar = func() *maintenance.Calendar { return known }
	d := w.open()
	d.writePlan = func(ctx context.Context, cfg resubmit.PlanConfig, path string) (plan.ActionCounts, error) {
		require.Same(t, known, cfg.Calendar)
		return w.writePlan(ctx, cfg, path)
	}
	w.beforePush = func(_ context.Context, r *fakeRunner, _ *plan.Entry) error {
		require.Same(t, known, r.cfg.Calendar())
		return nil
	}
	_, err = d.Once(t.Context(), OnceOptions{})
	require.NoError(t, err)
}
