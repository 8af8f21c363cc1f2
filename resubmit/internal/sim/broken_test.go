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

// Each of these is an engine, an adapter or a policy that is broken in one way. The
// simulator is worth something only if it finds all of them.
var whatIsBroken = []brokenCase{
	{"a pusher that sends a lost push again, while readings are old", "I1", Config{Runner: wrapPusher(pushAgain)}},
	{"a journal that forgets the intent", "I2",
		Config{Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal { return forgetful{j} })}},
	{"a journal that makes light of an intent after a restart", "I3",
		Config{Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal {
			return careless{j,
				resubmit.RecordRefused}
		})}},
	{"a calendar that hides the windows", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Calendar = func() *maintenance.Calendar { return nil }
	}}},
	{"a runner without the guard time", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) { c.Guard = -1 }}},
	{"orders that do not tell their subscription", "I5", Config{
		Plan: func(_ *Process, c *resubmit.PlanConfig) {
			c.Reader = changed{c.Reader, withoutLane}
			c.IgnoreConnect = true
		},
	}},
	{"a pusher that sends a lost push again", "I6", Config{Runner: wrapPusher(pushAgain)}},
	{"a runner that does not pace itself", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) { c.RateLimit = -1 }}},
	{"clients that keep Retry-After for themselves", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Reader, c.Pusher = impatient{c.Reader, c.Pusher}, impatient{c.Reader, c.Pusher}
	}}},
	{"a journal that forgets what a server asked for", "I7", Config{Journal: func(p *Process) (resubmit.Journal, error) {
		l, err := OpenLog(p.Disk)
		return hasty{l}, err
	}}},
	{"a runner without the breaker", "I8", Config{
		Limits: func(c *resubmit.Config) {
			c.RateLimit, c.SettleDelay, c.Breaker.Failures, c.Breaker.Wait = 0.05, 30*time.Second, 1, 5*time.Minute
		},
		Runner: func(_ *Process, c *resubmit.Config) { c.Breaker.Failures, c.Canary.Steps = -1, []int{} },
	}},
	{"a report that leaves an order out", "I9", Config{reported: func(r *resubmit.Report) {
		if len(r.Items) > 0 {
			r.Items = r.Items[1:]
		}
	}}},
	{"a report that counts an order twice", "I9", Config{reported: func(r *resubmit.Report) { r.Result.Completed++ }}},
	{"a journal that loses an order in a crash", "I10",
		Config{Journal: wrapJournal(func(j resubmit.Journal) resubmit.Journal {
			return careless{j,
				resubmit.RecordSkipped}
		})}},
	{"a source that leaves orders out when it is asked for a type", "I11",
		Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
			c.Lister = partial{c.Lister}
		}}},
	{"another plan than the approved one", "I12", Config{applied: resubmitAll}},
	{"a pusher to another status", "I12", Config{Runner: wrapPusher(func(ctx context.Context, p resubmit.Pusher, id string,
		_ commerce.Status) error {
		return p.Push(ctx, id, commerce.StatusCancelled)
	})}},
	{"a reader that answers from memory", "I13", remembering()},
	{"a reader for which every order was moved", "lost", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Reader = changed{c.Reader, func(o *commerce.Order) { o.Status = commerce.StatusCancelled }}
	}}},
	{"a journal that cannot be opened", "end", Config{Journal: func(*Process) (resubmit.Journal, error) {
		return nil,
			errDiskFull
	}}},
}

func TestTheSimulationFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	for i, tt := range slices.Concat(whatIsBroken, troubleIsBroken) {
		if testing.Short() && i%4 != 0 {
			continue // each takes hundreds of worlds
		}
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := tt.cfg
			cfg.Seeds, cfg.Command, cfg.rule, cfg.replays = 1500, "-seed ", tt.rule, 3
			failure, _ := Run(t, cfg)
			require.NotNil(t, failure, "it was not found")
			require.True(t, failure.Broke(tt.rule), "%v", failure)
			require.NotEmpty(t, failure.History)
			require.Contains(t, failure.String(), fmt.Sprintf("-seed %d", failure.Seed))
		})
	}
}

type pusherFunc func(ctx context.Context, id string, to commerce.Status) error

func (f pusherFunc) Push(ctx context.Context, id string, to commerce.Status) error {
	return f(ctx, id, to)
}

func wrapPusher(push func(context.Context, resubmit.Pusher, string, commerce.Status) error) func(*Process,
	*resubmit.Config) {
	return func(_ *Process, c *resubmit.Config) {
		inner := c.Pusher
		c.Pusher = pusherFunc(func(ctx context.Context, id string,
			to commerce.Status) error {
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

type forgetful struct{ resubmit.Journal }

func (f forgetful) Put(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		return nil
	}
	return f.Journal.Put(r)
}

type hasty struct{ *Log }

func (hasty) PutPatience(resubmit.Patience) error { return nil }

type careless struct {
	resubmit.Journal
	says resubmit.RecordState
}

func (c careless) Get(orderID string) (resubmit.Record, bool, error) {
	r, ok, err := c.Journal.Get(orderID)
	if r.State == resubmit.RecordSending {
		r.State = c.says
	}
	return r, ok, err
}

func (c careless) Put(r resubmit.Record) error {
	if was, _, _ := c.Get(r.OrderID); r.State == resubmit.RecordSending && was.State == c.says {
		was.State = resubmit.RecordRefused
		if err := c.Journal.Put(was); err != nil {
			return err
		}
	}
	return c.Journal.Put(r)
}

type changed struct {
	resubmit.OrderReader
	change func(*commerce.Order)
}

func (c changed) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := c.OrderReader.Order(ctx, id)
	if err == nil {
		c.change(o)
	}
	return o, err
}

func withoutLane(o *commerce.Order) {
	o.SubscriptionIDs, o.TenantID, o.CustomerID, o.CustomerName = []string{"another-" + o.ID}, "other-"+o.ID, "", ""
}

type impatient struct {
	resubmit.OrderReader
	resubmit.Pusher
}

func (i impatient) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := i.OrderReader.Order(mute{ctx}, id)
	return o, forgetPatience(err)
}

func (i impatient) Push(ctx context.Context, id string, to commerce.Status) error {
	return forgetPatience(i.Pusher.Push(mute{ctx}, id, to))
}

// System is that of the reader.
func (i impatient) System() string { return blindClient(i).System() }

// mute is a context in which nobody is told that a server asks for patience.
type mute struct{ context.Context }

func (mute) Value(any) any { return nil }

func forgetPatience(err error) error {
	e, ok := err.(*commerce.Error) //nolint:errorlint // the clients return nothing else
	if !ok || e == nil {
		return err
	}
	e.RetryAfter = 0
	return e
}

type partial struct{ resubmit.OrderLister }

func (p partial) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
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

// remembering reads each order, but tells how it was when the plan was made.
func remembering() Config {
	var known sync.Map
	return Config{
		Plan: func(p *Process, c *resubmit.PlanConfig) {
			c.Reader = changed{c.Reader, func(o *commerce.Order) { known.Store(fmt.Sprint(p.Seed, o.ID), *o) }}
		},
		Runner: func(p *Process, c *resubmit.Config) {
			c.Reader = changed{c.Reader, func(o *commerce.Order) {
				if then, ok := known.Load(fmt.Sprint(p.Seed, o.ID)); ok {
					*o, _ = then.(commerce.Order)
				}
			}}
		},
	}
}

// resubmitAll makes a plan that resubmits whatever another one knows.
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
