package resubmit

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Config configures a Runner. Reader and Pusher are required. Zero fields have the default that
// is named; -1 disables what says so. A field that holds a nil pointer, map or function in an
// interface is an error.
//
// A panic in one of these values is an error of that call, and its stack is logged. After a
// panic in Pusher the outcome of the push is unknown. While Calendar panics nothing is pushed. A
// panic in Journal ends the run, and one in OnEvent removes it.
type Config struct {
	// Systems are the clients. Reader and Pusher are required.
	Systems
	// Policy has the settings on which the planner must agree. Use that of the plan.
	Policy
	// Journal is the memory of all runs on this installation of Commerce: the one with which the
	// plan was made. Required. With new(MemoryJournal), only this process remembers.
	Journal Journal
	// Calendar returns the maintenance windows that are known now. It is called before every
	// push. A nil calendar is an empty one. Nil: the calendar of the plan (see [plan.Header]).
	Calendar func() *maintenance.Calendar
	// Require are public keys: Apply accepts only plans that one of them has signed (see [plan.SignFile] and
	// [plan.LoadPublicKeys]). For others it returns an error that matches [plan.ErrUnsigned] or
	// [plan.ErrBadSignature]. Empty: plans need no signature.
	Require []ed25519.PublicKey
	// MaxPlanAge is the age at which Apply rejects a plan with ErrStalePlan. Default 24 h. A
	// plan of any age is stale if maintenance has begun since it was made, or if Calendar has
	// other windows in the 31 days before it than the plan. -1 accepts every plan. A plan that
	// a run with the Journal has begun is never stale. A Watcher takes 0 as -1: its plan may wait for an approval.
	MaxPlanAge time.Duration

	// Guard is how long before a maintenance window pushes stop. Default 5 min; -1: they stop when it begins.
	Guard time.Duration
	// RateLimit is the limit of calls per second, of all calls of the Runner together: reads,
	// pushes, look-ups in Connect. One order takes about two. Default 5; -1 no limit.
	RateLimit float64
	// MinRateFraction is the fraction of RateLimit to which the rate may drop. The rate is halved
	// when a server answers 429 or 503, or when calls take more than twice as long as usual, and
	// rises by a tenth of RateLimit after ten seconds without trouble. Default 0.1; -1 keeps the
	// rate.
	MinRateFraction float64
	// MaxRetryAfter is the longest pause that a server may ask for (Retry-After) without ending the
	// run. No server is called during it. A longer pause ends the run at once with ErrRetryAfterTooLong,
	// and also the next run with the same journal. If the server asked by mistake, remove the
	// record "retry-after" of the kind system from the journal. Default 24 h; -1 waits forever.
	MaxRetryAfter time.Duration
	// Concurrency is how many orders are pushed at the same time. As many reads for verification
	// run beside them. Default: Capabilities.MaxConcurrency, for reads and pushes together;
	// otherwise 2.
	Concurrency int
	// MaxOpenOrders is how many orders are worked on at the same time, most of which are being
	// verified. Default 1024.
	MaxOpenOrders int
	// MaxDeferrals is how often an order is tried again in one run after the server was not
	// reached or asked for a pause. Refused credentials do not count, see [Runner.Apply].
	// Default 3; -1 never.
	MaxDeferrals int
	// Canary pushes a few orders of each group first. It is on unless its Steps are empty and not
	// nil.
	Canary CanaryConfig
	// Breaker stops all pushes when orders fail again for a transient reason.
	Breaker BreakerConfig
	// Verify says how results are verified.
	Verify VerifyConfig

	// OmitItems leaves the single orders out of the report, for plans that do not fit in
	// memory. OnEvent receives each of them.
	OmitItems bool
	// OnEvent receives the events of a run in order, one at a time, through a queue, so that a slow
	// function does not delay a push; no further order is begun while 1 024 events wait. It may
	// call the methods of the Runner other than Apply. After a panic it is not called again and
	// the run continues: the Logger and [Report].EventError say so. Optional.
	OnEvent func(Event)
	// Audit receives each event at once, before the run continues; an error or a panic ends
	// the run. It must not call the Runner. See package audit. Optional.
	Audit func(Event) error
	// Tracer observes runs and orders. Optional.
	Tracer Tracer
	// Logger logs what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

// The defaults that planner and runner share.
const (
	defaultRate          = 5
	defaultMaxRetryAfter = 24 * time.Hour
)

// The limits of what is taken for a setting, and not for a mistake in its unit.
const (
	leastTime = time.Millisecond
	mostTime  = 366 * 24 * time.Hour
	mostCount = 1_000_000
)

// plausible reports whether a duration is 0, or not a mistake such as a number without a unit.
func plausible(d time.Duration) bool { return d == 0 || d >= leastTime && d <= mostTime }

// WithDefaults returns the configuration with its defaults in the fields that are zero.
func (c Config) WithDefaults() Config {
	c.MaxPlanAge = cmp.Or(c.MaxPlanAge, 24*time.Hour)
	c.Guard = cmp.Or(c.Guard, 5*time.Minute)
	c.Policy = c.Policy.WithDefaults()
	c.RateLimit = cmp.Or(c.RateLimit, defaultRate)
	if c.MinRateFraction = cmp.Or(c.MinRateFraction, 0.1); c.MinRateFraction == -1 {
		c.MinRateFraction = 1
	}
	c.MaxRetryAfter = cmp.Or(c.MaxRetryAfter, defaultMaxRetryAfter)
	c.Concurrency = cmp.Or(c.Concurrency, 2)
	c.MaxOpenOrders = cmp.Or(c.MaxOpenOrders, 1024)
	c.MaxDeferrals = cmp.Or(c.MaxDeferrals, 3)
	c.Verify.InitialInterval = cmp.Or(c.Verify.InitialInterval, 10*time.Second)
	c.Verify.MaxInterval = cmp.Or(c.Verify.MaxInterval, 5*time.Minute)
	c.Verify.Timeout = cmp.Or(c.Verify.Timeout, 30*time.Minute)
	c.Verify.HealthyAfter = cmp.Or(c.Verify.HealthyAfter, 10*time.Minute)
	c.Verify.ConnectGrace = cmp.Or(c.Verify.ConnectGrace, 5*time.Minute)
	c.Canary = c.Canary.withDefaults()
	c.Breaker = c.Breaker.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("resubmit: "+format, args...)) }
	if c.Reader == nil {
		bad("Config.Reader is nil; give the client that reads orders")
	}
	if c.Journal == nil {
		bad("Config.Journal is nil; give the journal of the installation, or new(MemoryJournal)")
	}
	if c.Pusher == nil {
		bad("Config.Pusher is nil; give the client that pushes orders")
	}
	for _, err := range []error{
		c.Systems.validate("Config"), validatePolicy(&c.Policy, "Config"), checkRate("Config.RateLimit", c.RateLimit),
		callback.RejectNil(callback.Field{Name: "Config.Journal", Value: c.Journal},
			callback.Field{Name: "Config.Tracer", Value: c.Tracer}),
	} {
		if err != nil {
			bad("%w", err)
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"MaxPlanAge", c.MaxPlanAge}, {"Guard", c.Guard}, {"Verify.InitialInterval", c.Verify.InitialInterval},
		{"Verify.MaxInterval", c.Verify.MaxInterval}, {"Verify.Timeout", c.Verify.Timeout},
		{"Verify.HealthyAfter", c.Verify.HealthyAfter},
		{"Verify.ConnectGrace", c.Verify.ConnectGrace},
		{"MaxRetryAfter", c.MaxRetryAfter},
	} {
		if d.value != -1 && !plausible(d.value) {
			bad("Config.%s is %v; give %v to %v, 0 for the default or -1 to disable it", d.field, d.value, leastTime, mostTime)
		}
	}
	if c.MinRateFraction != -1 && !(c.MinRateFraction >= 0 && c.MinRateFraction <= 1) {
		bad("Config.MinRateFraction is %v; give a fraction up to 1, 0 for the default or -1 to keep the rate",
			c.MinRateFraction)
	}
	for _, k := range c.Require {
		if len(k) != ed25519.PublicKeySize {
			bad("Config.Require has a key of %d bytes; load the keys with LoadPublicKeys", len(k))
			break
		}
	}
	c.Canary.validate(bad)
	c.Breaker.validate(bad)
	if c.MaxDeferrals < -1 || c.MaxDeferrals > mostCount {
		bad("Config.MaxDeferrals is %d; give 1 to %d, 0 for the default or -1 for none", c.MaxDeferrals, mostCount)
	}
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency || c.MaxOpenOrders < 0 || c.MaxOpenOrders > mostCount {
		bad("Config.Concurrency is %d and Config.MaxOpenOrders is %d; give 1 to %d and 1 to %d, or 0 for the defaults",
			c.Concurrency, c.MaxOpenOrders, maxConcurrency, mostCount)
	}
	if c.Targets == nil && !c.Capabilities.Transitions {
		bad("Config.Targets is nil, and Systems.Capabilities does not report which transitions an order offers; " +
			"say which ones resubmit it, for instance protocol.DefaultTargets()")
	}
	return errors.Join(errs...)
}

// Policy has the settings on which the planner and the Runner must agree: give the same value to
// PlanConfig and Config. [protocol.Policy] describes its fields.
type Policy = protocol.Policy

// validatePolicy checks a policy; config is the name of the configuration in errors.
func validatePolicy(p *Policy, config string) error {
	for _, err := range p.Validate() {
		return fmt.Errorf("%s.%w", config, err)
	}
	return nil
}

// checkPolicy returns an error if a plan was made with another policy.
func checkPolicy(own *Policy, planned json.RawMessage) error {
	b, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("resubmit: policy: %w", err)
	}
	if planned == nil || bytes.Equal(b, planned) {
		return nil
	}
	var other Policy
	if err := json.Unmarshal(planned, &other); err != nil {
		return fmt.Errorf("resubmit: the policy of the plan: %s; make a new plan", text.Short(err.Error()))
	}
	return fmt.Errorf("resubmit: the plan was made with another policy: %s; give both the same Policy, or make a new plan",
		text.Sentence(policyDifference(&other, own)))
}

// policyDifference says in which fields two policies differ.
func policyDifference(planned, own *Policy) string {
	var fields []string
	p, o := reflect.ValueOf(*planned), reflect.ValueOf(*own)
	for i := range p.NumField() {
		f := p.Type().Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		was, is := policyValue(p.Field(i)), policyValue(o.Field(i))
		if was != is {
			fields = append(fields, fmt.Sprintf("%s is %s in the plan and %s in the Runner", f.Name, was, is))
		}
	}
	if len(fields) == 0 {
		return "it has settings that this version of the library does not know"
	}
	return strings.Join(fields, ", ")
}

// policyValue formats the value of a setting.
func policyValue(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String()
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return err.Error()
	}
	return string(b)
}
