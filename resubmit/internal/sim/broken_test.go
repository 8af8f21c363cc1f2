package sim

import (
	"context"
	"errors"
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
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

type brokenCase struct {
	name string
	rule string
	cfg  Config
}

// brokenCode are engines, adapters and limits that are broken in one way. The simulator must find all of them. Faults
// that few worlds show have a First world a little before one of those, which saves time and nothing else.
var brokenCode = []brokenCase{
	{"pusher repeats a lost push while reads are stale", "I1", Config{Runner: wrapPusher(pushAgain)}},
	{"journal drops claims", "I2", Config{wrap: changePuts(func(r []protocol.Record) []protocol.Record {
		return slices.DeleteFunc(r, claims)
	})}},
	{"claim is written after the push", "I2", Config{wrap: func(j resubmit.Journal) resubmit.Journal {
		return &lateClaims{Journal: j, late: map[protocol.Key]lateClaim{}}
	}}},
	{"journal shows a claim as released after a restart", "I3", Config{wrap: func(j resubmit.Journal) resubmit.Journal {
		return showsReleased{j}
	}}},
	{"journal stores an unanswered push as released", "I3", Config{wrap: changeOrders(func(o *protocol.Order) {
		if o.Phase == protocol.Unanswered {
			o.Phase, o.Attempts, o.SentAt = protocol.Open, 0, time.Time{}
		}
	})}},
	{"calendar has no windows", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Calendar = func() *maintenance.Calendar { return nil }
	}}},
	{"calendar is read once", "I4", Config{Runner: func(_ *Process, c *resubmit.Config) {
		now := c.Calendar()
		c.Calendar = func() *maintenance.Calendar { return now }
	}}},
	{"runner has no guard time", "I4", Config{First: 140, Runner: func(_ *Process, c *resubmit.Config) { c.Guard = -1 }}},
	{"orders hide their subscription", "I5", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Reader = changingReader{c.Reader, withoutLane}
		c.IgnoreConnect = true
	}}},
	{"journal drops the claims of lanes", "I5", Config{wrap: changePuts(func(r []protocol.Record) []protocol.Record {
		return slices.DeleteFunc(r, func(r protocol.Record) bool { return r.Lane != nil })
	})}},
	{"pusher repeats a lost push", "I6", Config{Runner: wrapPusher(pushAgain)}},
	{"runner has no rate limit", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) { c.RateLimit = -1 }}},
	{"clients hide Retry-After", "I7", Config{Runner: func(_ *Process, c *resubmit.Config) {
		c.Reader, c.Pusher = dropsRetryAfter{c.Reader, c.Pusher}, dropsRetryAfter{c.Reader, c.Pusher}
	}}},
	{"journal drops Retry-After", "I7", Config{First: 275, wrap: changePuts(func(r []protocol.Record) []protocol.Record {
		return slices.DeleteFunc(r, func(r protocol.Record) bool { return r.System != nil })
	})}},
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
	{"journal loses an order in a crash", "I10", Config{wrap: changeOrders(func(o *protocol.Order) {
		if o.Phase == protocol.Claimed {
			o.Phase, o.Outcome = protocol.Ended, protocol.Skipped
		}
	})}},
	{"lister leaves out an order", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Lister = skipsFirst{c.Lister}
	}}},
	{"runner accepts a replaced plan", "I12", Config{Runner: func(_ *Process, c *resubmit.Config) { c.Require = nil }}},
	{"pusher pushes to another status", "I12", Config{Runner: wrapPusher(
		func(ctx context.Context, p resubmit.Pusher, id string, _ commerce.Status) error {
			return p.Push(ctx, id, commerce.StatusCancelled)
		},
	)}},
	{"reader returns cached orders", "I13", cachingReader()},
	{"journal ignores versions", "I14", Config{First: 75, wrap: func(j resubmit.Journal) resubmit.Journal {
		return ignoresVersions{j}
	}}},
	{"an older copy of the journal is accepted", "I15", Config{wrap: func(j resubmit.Journal) resubmit.Journal {
		return acceptsCopies{j}
	}}},
	{"recovered journal claims to remember all", "I15", Config{wrap: func(j resubmit.Journal) resubmit.Journal {
		return forgetsLoss{j}
	}}},
	{"journal does not know what failed again", "held", Config{wrap: changeOrders(func(o *protocol.Order) {
		if o.Phase == protocol.Ended {
			o.Template, o.Earlier = "", nil
		}
	})}},
	{"journal does not count resubmissions", "limit", Config{
		Limits: func(c *resubmit.Config) { c.MaxResubmissions = 1 },
		wrap:   changeOrders(func(o *protocol.Order) { o.Resubmissions = 0 }),
	}},
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
			for failure != nil && len(failure.History) == 0 { // it depends on the scheduler
				require.True(t, failure.Breaks(tt.rule), "%v", failure)
				cfg.First = failure.Seed + 1
				failure, _ = Run(t, cfg)
			}
			require.NotNil(t, failure, "no world breaks the rule")
			require.True(t, failure.Breaks(tt.rule), "%v", failure)
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

func claims(r protocol.Record) bool { return r.Order != nil && r.Order.Phase == protocol.Claimed }

// changePuts changes what is written.
func changePuts(change func([]protocol.Record) []protocol.Record) func(resubmit.Journal) resubmit.Journal {
	return func(j resubmit.Journal) resubmit.Journal { return changesPuts{j, change} }
}

func changeOrders(change func(*protocol.Order)) func(resubmit.Journal) resubmit.Journal {
	return changePuts(func(all []protocol.Record) []protocol.Record {
		for i := range all {
			if all[i] = all[i].Clone(); all[i].Order != nil {
				change(all[i].Order)
			}
		}
		return all
	})
}

type changesPuts struct {
	resubmit.Journal
	change func([]protocol.Record) []protocol.Record
}

func (j changesPuts) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	changed := j.change(slices.Clone(records))
	if len(changed) == 0 {
		return records[0].Version + 1, nil
	}
	return j.Journal.Put(ctx, d, changed...)
}

// showsReleased shows claims as if they had been released.
type showsReleased struct{ resubmit.Journal }

func (j showsReleased) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	r, err := j.Journal.Get(ctx, k)
	if claims(r) {
		r.Order.Phase, r.Order.Attempts = protocol.Open, 0
	}
	return r, err
}

// lateClaims writes a claim only before the next record of its order.
type lateClaims struct {
	resubmit.Journal

	mu   sync.Mutex
	late map[protocol.Key]lateClaim
}

type lateClaim struct {
	records  []protocol.Record
	promised uint64
}

func (j *lateClaims) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	first := records[0]
	j.mu.Lock()
	defer j.mu.Unlock()
	if claims(first) {
		j.late[first.Key] = lateClaim{records, first.Version + 1}
		return first.Version + 1, nil
	}
	if c, ok := j.late[first.Key]; ok && first.Version == c.promised {
		delete(j.late, first.Key)
		seq, err := j.Journal.Put(ctx, d, c.records...)
		if err != nil {
			return seq, err
		}
		for i := range records {
			records[i].Version = seq
		}
	}
	return j.Journal.Put(ctx, d, records...)
}

// ignoresVersions replaces whatever record there is.
type ignoresVersions struct{ resubmit.Journal }

func (j ignoresVersions) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	for {
		seq, err := j.Journal.Put(ctx, d, records...)
		conflict, ok := errors.AsType[*resubmit.ConflictError](err)
		if !ok {
			return seq, err
		}
		records = slices.Clone(records)
		for i := range records {
			if records[i].Key == conflict.Current.Key {
				records[i].Version = conflict.Current.Version
			}
		}
	}
}

// acceptsCopies accepts every journal as the right one.
type acceptsCopies struct{ resubmit.Journal }

func (j acceptsCopies) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	u.After = plan.Position{}
	return j.Journal.Begin(ctx, u)
}

// forgetsLoss hides that records were lost.
type forgetsLoss struct{ resubmit.Journal }

func (j forgetsLoss) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	l, err := j.Journal.Begin(ctx, u)
	l.ForgottenBefore = time.Time{}
	return l, err
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

// skipsFirst leaves out the first order of a list.
type skipsFirst struct{ resubmit.OrderLister }

func (p skipsFirst) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		first := true
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
