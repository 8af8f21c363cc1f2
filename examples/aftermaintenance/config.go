package main

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/input"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// config is the configuration file. Paths in it are relative to its directory, and it has no secrets.
type config struct {
	Commerce commerceConfig `json:"commerce"`
	Connect  connectConfig  `json:"connect"`
	// SecretFiles are the files of secrets, by the environment variables that would have them.
	SecretFiles map[string]string `json:"secretFiles"`
	Windows     windowsConfig     `json:"windows"`

	// Rules, Patterns and Views are files, see rules.LoadFile, failure.LoadPatternsFile and commerce.LoadViewsFile.
	Rules         []string `json:"rules"`
	Patterns      []string `json:"patterns"`
	Views         string   `json:"views"`
	View          string   `json:"view"` // the name of the one to use
	Where         string   `json:"where"`
	IgnoreConnect bool     `json:"ignoreConnect"`
	SortLists     bool     `json:"sortLists"` // in memory, for a Commerce that does not sort

	Policy policyConfig `json:"policy"`
	Run    runConfig    `json:"run"`
	Limits limitsConfig `json:"limits"`

	Approvers string    `json:"approvers"` // file of the public keys of those who may approve
	Require   bool      `json:"require"`   // every plan must be signed by one of them
	Retention duration  `json:"retention"` // of ended runs
	TimeZone  string    `json:"timeZone"`
	Notify    notifyURL `json:"notify"`

	dir string // of the file
}

type commerceConfig struct {
	Via            string         `json:"via"`
	URL            string         `json:"url"`
	TLS            tlsConfig      `json:"tls"`
	PlainHTTP      bool           `json:"plainHTTP"`
	Operations     string         `json:"operations"`
	OperationsUser int            `json:"operationsUser"`
	LoginInCall    bool           `json:"loginInCall"`
	Currency       string         `json:"currency"`
	Marketplace    string         `json:"marketplace"`
	Keycloak       keycloakConfig `json:"keycloak"`
}

type keycloakConfig struct {
	URL      string `json:"url"`
	Realm    string `json:"realm"`
	ClientID string `json:"clientId"`
}

type connectConfig struct {
	URL       string    `json:"url"`
	TLS       tlsConfig `json:"tls"`
	PlainHTTP bool      `json:"plainHTTP"`
}

// tlsConfig has files: the certificate of this client with its key, and certificate authorities.
type tlsConfig struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	Authorities string `json:"authorities"`
}

type policyConfig struct {
	Targets          []commerce.Status                          `json:"targets"`
	RequestTypes     map[commerce.OrderType]connect.RequestType `json:"requestTypes"`
	SettleDelay      duration                                   `json:"settleDelay"`
	PushTimeout      duration                                   `json:"pushTimeout"`
	Attempts         int                                        `json:"attempts"`
	Spacing          duration                                   `json:"spacing"`
	MaxResubmissions int                                        `json:"maxResubmissions"`
}

type runConfig struct {
	Rate          float64  `json:"rate"` // calls per second
	Concurrency   int      `json:"concurrency"`
	Guard         duration `json:"guard"`
	MaxPlanAge    duration `json:"maxPlanAge"`
	MaxRetryAfter duration `json:"maxRetryAfter"`
	VerifyAfter   duration `json:"verifyAfter"`
	VerifyTimeout duration `json:"verifyTimeout"`
	VerifyEvery   duration `json:"verifyEvery"`
	Canary        []int    `json:"canary"` // an empty list is no canary
	BreakerAfter  int      `json:"breakerAfter"`
}

type limitsConfig struct {
	MaxOrders      *int              `json:"maxOrders"` // nil: the default
	MaxMoney       []string          `json:"maxMoney"`
	Verdicts       []failure.Verdict `json:"verdicts"`
	MaxShareOfView float64           `json:"maxShareOfView"`
	MaxRate        float64           `json:"maxRate"`
	ApprovalTime   duration          `json:"approvalTime"`
}

type notifyURL struct {
	URL    string `json:"url"`
	Orders bool   `json:"orders"`
}

// duration is a time.Duration as text, such as "4m".
type duration time.Duration

// UnmarshalText reads a duration.
func (d *duration) UnmarshalText(text []byte) error {
	value, err := input.Duration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write it like 4m, 2h30m or 30d", text)
	}
	*d = duration(value)
	return nil
}

var configFormat = jsonfile.Format[config]{Name: "configuration", MaxBytes: 1 << 20}

// loadConfig reads the configuration file of -config, or config.json in the directory of -state if it exists, and
// applies the flags.
func (p *program) loadConfig() (*config, error) {
	o := &p.options
	path := cmp.Or(o.config, filepath.Join(o.state, "config.json"))
	c, err := configFormat.ReadFile(path)
	if err != nil && (o.config != "" || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	c.dir = filepath.Dir(path)
	c.Commerce.Via = cmp.Or(o.via, c.Commerce.Via, viaOrderManager)
	c.Commerce.URL, c.Connect.URL = cmp.Or(o.commerceURL, c.Commerce.URL), cmp.Or(o.connect, c.Connect.URL)
	c.Commerce.PlainHTTP, c.Connect.PlainHTTP = c.Commerce.PlainHTTP || o.plain, c.Connect.PlainHTTP || o.plain
	c.IgnoreConnect = c.IgnoreConnect || o.ignoreConnect
	c.Notify.URL, c.Notify.Orders = cmp.Or(o.notify, c.Notify.URL), c.Notify.Orders || o.notifyAll
	if o.zone == "" && c.TimeZone != "" {
		if p.location, err = time.LoadLocation(c.TimeZone); err != nil {
			return nil, fmt.Errorf("configuration: %s: timeZone: there is no time zone %q", path, c.TimeZone)
		}
	}
	return &c, p.overrideRun(&c)
}

// overrideRun applies the flags about how plans are applied.
func (p *program) overrideRun(c *config) error {
	o := &p.options
	if o.rate != "" {
		rate, err := input.Rate(o.rate)
		if err != nil {
			return usagef("-rate: %w", err)
		}
		c.Run.Rate = rate
	}
	if r := c.Run.Rate; r != 0 && r != -1 && !(r >= 0.01 && r <= 10_000) {
		return usagef("the rate %v is not possible: give calls per second, from 0.01/s to 10000/s", r)
	}
	if o.canary != "" {
		steps, err := input.Steps(o.canary)
		if err != nil {
			return usagef("-canary: %w", err)
		}
		c.Run.Canary = steps
	}
	if o.maxOrders != 0 {
		c.Limits.MaxOrders = &o.maxOrders
	}
	if len(o.maxMoney) > 0 {
		c.Limits.MaxMoney = input.List(o.maxMoney)
	}
	return nil
}

// path returns a path in the configuration file.
func (c *config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// policy returns what planning and applying agree on.
func (c *config) policy(classifier *failure.Classifier) resubmit.Policy {
	p := c.Policy
	targets := p.Targets
	if targets == nil { // APIs that do not report the transitions of an order have no default
		targets = protocol.DefaultTargets()
	}
	return resubmit.Policy{
		Targets: targets, RequestTypes: p.RequestTypes, Classifier: classifier, SettleDelay: time.Duration(p.SettleDelay),
		PushTimeout:      time.Duration(p.PushTimeout),
		Retry:            protocol.RetryPolicy{MaxAttempts: p.Attempts, Spacing: time.Duration(p.Spacing)},
		MaxResubmissions: p.MaxResubmissions,
	}
}

// runner returns how plans are applied.
func (c *config) runner() resubmit.Config {
	r := c.Run
	return resubmit.Config{
		RateLimit: r.Rate, Concurrency: r.Concurrency, Guard: time.Duration(r.Guard),
		MaxPlanAge: time.Duration(r.MaxPlanAge), MaxRetryAfter: time.Duration(r.MaxRetryAfter),
		Verify: resubmit.VerifyConfig{InitialInterval: time.Duration(r.VerifyAfter), Timeout: time.Duration(r.VerifyTimeout),
			MaxInterval: time.Duration(r.VerifyEvery)},
		Canary:  resubmit.CanaryConfig{Steps: r.Canary},
		Breaker: resubmit.BreakerConfig{Failures: r.BreakerAfter},
	}
}

// checkMaxOrders rejects 0, which would be the default of the library.
func checkMaxOrders(n int) error {
	if n == 0 || n < -1 {
		return fmt.Errorf("%d: give a number of orders, or -1 for any number; to approve every plan, use plan and apply "+
			"instead of run", n)
	}
	return nil
}

// limits returns the limits within which plans are applied without an approval.
func (c *config) limits() (state.Limits, error) {
	l := state.Limits{
		Verdicts: c.Limits.Verdicts, MaxShareOfView: c.Limits.MaxShareOfView, MaxRate: c.Limits.MaxRate,
		ApprovalTime: time.Duration(c.Limits.ApprovalTime),
	}
	if most := c.Limits.MaxOrders; most != nil {
		if err := checkMaxOrders(*most); err != nil {
			return l, fmt.Errorf("configuration: limits.maxOrders is %w", err)
		}
		l.MaxOrders = *most
	}
	for _, text := range c.Limits.MaxMoney {
		m, err := commerce.ParseMoney(strings.TrimSpace(text))
		if err != nil {
			return l, usagef("-max-money or maxMoney: %w", err)
		}
		if l.MaxAmount == nil {
			l.MaxAmount = make(map[string]decimal.Decimal)
		}
		l.MaxAmount[m.Currency] = m.Amount
	}
	return l, nil
}

// approvers returns the keys of those who may approve plans; nil for this user.
func (c *config) approvers() ([]ed25519.PublicKey, error) {
	if c.Approvers == "" {
		if c.Require {
			return nil, errors.New(`configuration: "require" needs "approvers": the file of their public keys`)
		}
		return nil, nil
	}
	return plan.LoadPublicKeys(c.path(c.Approvers))
}

// view returns the failure view to list.
func (c *config) view() (commerce.View, error) {
	views := []commerce.View{commerce.FailedOrdersView()}
	if c.Views != "" {
		loaded, err := commerce.LoadViewsFile(c.path(c.Views))
		if err != nil {
			return commerce.View{}, err
		}
		views = append(loaded, views...)
	}
	name := cmp.Or(c.View, commerce.FailedOrdersView().Name)
	var names []string
	for _, v := range views {
		if v.Name == name {
			return v, nil
		}
		names = append(names, v.Name)
	}
	return commerce.View{}, fmt.Errorf("configuration: there is no view %q, only %q", name, names)
}

// rules returns the user's rules.
func (c *config) rules() (all []rules.Rule, err error) {
	for _, path := range c.Rules {
		loaded, err := rules.LoadFile(c.path(path))
		if err != nil {
			return nil, err
		}
		all = append(all, loaded...)
	}
	return all, rules.Validate(all)
}

// classifier returns the classifier with the user's patterns.
func (c *config) classifier() (*failure.Classifier, error) {
	var all []failure.Pattern
	for _, path := range c.Patterns {
		loaded, err := failure.LoadPatternsFile(c.path(path))
		if err != nil {
			return nil, err
		}
		all = append(all, loaded...)
	}
	return failure.NewClassifier(all...)
}

// margins returns by how much windows are widened to find what they caused.
func (c *config) margins() failure.Margins {
	m := c.Windows.Margins
	return failure.Margins{Lead: time.Duration(m.Lead), Tail: time.Duration(m.Tail), Lookback: time.Duration(m.Lookback)}
}

// attributor returns what finds the causes of failures.
func (c *config) attributor(calendar *maintenance.Calendar, classifier *failure.Classifier) *failure.Attributor {
	margins := c.margins()
	margins.Now = time.Now().UTC()
	return failure.NewAttributor(failure.AttributorConfig{Calendar: calendar, Classifier: classifier, Margins: margins})
}
