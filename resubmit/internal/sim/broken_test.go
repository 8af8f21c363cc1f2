package sim

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

type brokenCase struct {
	name string
	rule string
	cfg  Config
}

// brokenCode are engines, adapters and limits that are broken in one way. The simulator must find all of them.
var brokenCode = []brokenCase{
	{"pusher repeats a lost push while reads are stale", "I1", Config{Runner: wrapPusher(pushAgain)}},
	{"journal drops intents", "I2", Config{Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal {
		return dropsIntents{j}
	})}},
	{"journal shows an intent as refused after a restart", "I3", Config{
		Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal {
			return changesIntents{j, resubmit.RecordRefused}
		}),
	}},
	{"calendar has no windows", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Calendar = func() *maintenance.Calendar { return nil }
	}}},
	{"runner has no guard time", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) { c.Guard = -1 }}},
	{"orders hide their subscription", "I5", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Reader = changingReader{c.Reader, withoutLane}
		c.IgnoreConnect = true
	}}},
	{"pusher repeats a lost push", "I6", Config{Runner: wrapPusher(pushAgain)}},
	{"runner has no rate limit", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) { c.RateLimit = -1 }}},
	{"clients hide Retry-After", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Reader, c.Pusher = dropsRetryAfter{c.Reader, c.Pusher}, dropsRetryAfter{c.Reader, c.Pusher}
	}}},
	{"journal drops Retry-After", "I7", Config{Journal: func(p *Process) (resubmit.Journal, error) {
		l, err := OpenLog(p.Disk)
		return dropsPauses{l}, err
	}}},
	{"runner has no breaker", "I8", Config{
		Limits: func(c *resubmit.Config) {
			c.RateLimit, c.SettleDelay, c.Breaker.Failures, c.Breaker.Wait = 0.05, 30*time.Second, 1, 5*time.Minute
		},
		Runner: func(_ *Process, c *resubmit.Config) { c.Breaker.Failures, c.Canary.Steps = -1, []int{} },
	}},
	{"report leaves an order out", "I9", Config{reported: func(r *resubmit.Report) {
		if len(r.Items) > 0 {
			r.Items = r.Items[1:]
		}
	}}},
	{"report counts an order twice", "I9", Config{reported: func(r *resubmit.Report) { r.Result.Completed++ }}},
	{"journal loses an order in a crash", "I10", Config{
		Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal {
			return changesIntents{j, resubmit.RecordSkipped}
		}),
	}},
	{"lister leaves out orders of a requested type", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Lister = skipsFirstOfTypes{c.Lister}
	}}},
	{"plan is not the approved one", "I12", Config{applied: resubmitAll}},
	{"pusher pushes to another status", "I12", Config{Runner: wrapPusher(
		func(ctx context.Context, p resubmit.Pusher, id string, _ commerce.Status) error {
			return p.Push(ctx, id, commerce.StatusCancelled)
		},
	)}},
	{"reader returns cached orders", "I13", cachingReader()},
	{"reader shows every order as cancelled", "lost", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Reader = changingReader{c.Reader, func(o *commerce.Order) { o.Status = commerce.StatusCancelled }}
	}}},
	{"journal cannot be opened", "end", Config{Journal: func(*Process) (resubmit.Journal, error) {
		return nil, errDiskFull
	}}},
}

func TestSimulationFindsBrokenCode(t *testing.T) {
	t.Parallel()
	for i, tt := range slices.Concat(brokenCode, brokenFaultHandling) {
		if testing.Short() && i%6 != 0 {
			continue // each simulates hundreds of worlds
		}
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := tt.cfg
			cfg.Seeds, cfg.Command, cfg.rule, cfg.replays = 1500, "-seed ", tt.rule, 3
			failure, _ := Run(t, cfg)
			require.NotNil(t, failure, "no world breaks the rule")
			require.True(t, failure.Breaks(tt.rule), "%v", failure)
			require.NotEmpty(t, failure.History)
			require.Contains(t, failure.String(), fmt.Sprintf("-seed %d", failure.Seed))
		})
	}
}

type pusherFunc func(ctx context.Context, id string, to commerce.Status) error

func (f pusherFunc) Push(ctx context.Context, id string, to commerce.Status) error {
	return f(ctx, id, to)
}

type pushFunc = func(ctx context.Context, inner resubmit.Pusher, id string, to commerce.Status) error

func wrapPusher(push pushFunc) func(*Process, *resubmit.Config) {
	return func(_ *Process, c *resubmit.Config) {
		inner := c.Pusher
		c.Pusher = pusherFunc(func(ctx context.Context, id string, to commerce.Status) error {
			return push(ctx, inner, id, to)
		})
	}
}

func pushAgain(ctx context.Context, p resubmit.Pusher, id string, to commerce.Status) error {
	err := p.Push(ctx, id, to)
	if err != nil {
		err = p.Push(ctx, id, to)
	}
	return err
}

func wrapJournal(wrap func(resubmit.Journal) resubmit.Journal) func(*Process) (resubmit.Journal, error) {
	return func(p *Process) (resubmit.Journal, error) {
		l, err := OpenLog(p.Disk)
		if err != nil {
			return nil, err
		}
		return wrap(l), nil
	}
}

// dropsIntents does not store intents.
type dropsIntents struct{ resubmit.Journal }

func (f dropsIntents) Put(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		return nil
	}
	return f.Journal.Put(r)
}

// dropsPauses does not store Retry-After.
type dropsPauses struct{ *Log }

func (dropsPauses) PutPatience(resubmit.Patience) error { return nil }

// changesIntents shows intents in another state, and accepts another intent after one.
type changesIntents struct {
	resubmit.Journal
	state resubmit.RecordState
}

func (c changesIntents) Get(orderID string) (resubmit.Record, bool, error) {
	r, ok, err := c.Journal.Get(orderID)
	if r.State == resubmit.RecordSending {
		r.State = c.state
	}
	return r, ok, err
}

func (c changesIntents) Put(r resubmit.Record) error {
	if was, _, _ := c.Get(r.OrderID); r.State == resubmit.RecordSending && was.State == c.state {
		was.State = resubmit.RecordRefused
		if err := c.Journal.Put(was); err != nil {
			return err
		}
	}
	return c.Journal.Put(r)
}

// changingReader changes the orders that it reads.
type changingReader struct {
	resubmit.OrderReader
	change func(*commerce.Order)
}

func (c changingReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := c.OrderReader.Order(ctx, id)
	if err == nil {
		c.change(o)
	}
	return o, err
}

func withoutLane(o *commerce.Order) {
	o.SubscriptionIDs, o.TenantID, o.CustomerID, o.CustomerName = []string{"another-" + o.ID}, "other-"+o.ID, "", ""
}

// dropsRetryAfter are clients that hide Retry-After.
type dropsRetryAfter struct {
	resubmit.OrderReader
	resubmit.Pusher
}

func (d dropsRetryAfter) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := d.OrderReader.Order(withoutValues{ctx}, id)
	return o, withoutRetryAfter(err)
}

func (d dropsRetryAfter) Push(ctx context.Context, id string, to commerce.Status) error {
	return withoutRetryAfter(d.Pusher.Push(withoutValues{ctx}, id, to))
}

// withoutValues is a context without the value that reports a Retry-After.
type withoutValues struct{ context.Context }

func (withoutValues) Value(any) any { return nil }

func withoutRetryAfter(err error) error {
	e, ok := err.(*commerce.Error) //nolint:errorlint // the clients return nothing else
	if !ok || e == nil {
		return err
	}
	e.RetryAfter = 0
	return e
}

// skipsFirstOfTypes leaves out the first order of a list with types.
type skipsFirstOfTypes struct{ resubmit.OrderLister }

func (p skipsFirstOfTypes) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		first := len(q.Types) > 0
		for o, err := range p.OrderLister.Orders(ctx, q) {
			if first && err == nil {
				first = false
				continue
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// cachingReader returns each order as it was when the plan was made.
func cachingReader() Config {
	var known sync.Map
	return Config{
		Plan: func(p *Process, c *resubmit.PlanConfig) {
			c.Reader = changingReader{c.Reader, func(o *commerce.Order) { known.Store(fmt.Sprint(p.Seed, o.ID), *o) }}
		},
		Runner: func(p *Process, c *resubmit.Config) {
			c.Reader = changingReader{c.Reader, func(o *commerce.Order) {
				if then, ok := known.Load(fmt.Sprint(p.Seed, o.ID)); ok {
					*o, _ = then.(commerce.Order)
				}
			}}
		},
	}
}

// resubmitAll changes a plan to resubmit all its orders.
func resubmitAll(data []byte) []byte {
	p, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return data
	}
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, p.Header())
	if err != nil {
		return data
	}
	for e, err := range p.Entries() {
		if err != nil {
			return data
		}
		e.Decision.Action = rules.Resubmit
		if err := w.Write(e); err != nil {
			return data
		}
	}
	if _, _, err := w.Close(); err != nil {
		return data
	}
	return b.Bytes()
}
