package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
	"github.com/cloudblue-go/cloudblue/resubmit/temporal"
)

// settle is the settle delay of the example. The time of a push and the age of a claim are shortened with it.
const settle = 8 * time.Second

// settings are what a worker must know.
type settings struct {
	Temporal          string // host and port
	Dir               string // of the plans and the journal
	Commerce, Connect string // URLs
	Window            maintenance.Window
	Rate              float64
	Canary            []int // the steps
	Watch             bool  // for maintenance, which the file windows.json in Dir announces
}

// windowsFile is where maintenance is announced.
func (s *settings) windowsFile() string { return filepath.Join(s.Dir, "windows.json") }

// announce announces that the maintenance ends at a time.
func (s *settings) announce(end time.Time) error {
	w := s.Window
	w.End = end
	c, err := maintenance.NewCalendar([]maintenance.Window{w})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := maintenance.SaveCalendar(&b, c); err != nil {
		return err
	}
	return durable.Replace(s.windowsFile(), b.Bytes(), 0o600)
}

// journal opens the journal, a file that all processes of this machine share.
func (s *settings) journal(ctx context.Context) (*sqljournal.Journal, func(), error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.Dir, "journal.db")+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, nil, err
	}
	closeDB := func() { _ = db.Close() } // everything is durable
	if err := sqljournal.Migrate(ctx, db, sqljournal.SQLite); err != nil {
		closeDB()
		return nil, nil, err
	}
	j, err := sqljournal.Open(ctx, db, sqljournal.SQLite, sqljournal.WithLease(20*time.Second))
	if err != nil {
		closeDB()
		return nil, nil, err
	}
	return j, closeDB, nil
}

// systems returns the clients.
func (s *settings) systems(rate resubmit.SharedRate) (resubmit.Systems, error) {
	orders, err1 := ordermanager.New(s.Commerce, ordermanager.Token(commercetest.DefaultToken))
	requests, err2 := connect.New(s.Connect, connect.APIKey(connecttest.DefaultKey))
	if err := cmp.Or(err1, err2); err != nil {
		return resubmit.Systems{}, err
	}
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober, systems.SharedRate = requests, requests, rate
	return systems, nil
}

func (s *settings) calendar() (*maintenance.Calendar, error) {
	return maintenance.NewCalendar([]maintenance.Window{s.Window})
}

// policy is short, so that the example is.
func policy() resubmit.Policy {
	var p resubmit.Policy
	p.SettleDelay, p.Retry.Spacing = settle, -1
	return p
}

// world is the simulated systems, with orders that failed in a maintenance.
type world struct {
	settings settings
	commerce *commercetest.System
	connect  *connecttest.System
	server   *httptest.Server
	stop     context.CancelFunc
	numbers  []string // of the orders, as they were placed
	long     int      // how many of the first orders share a subscription

	mu    sync.Mutex
	calls []call
}

// call is a call to Commerce.
type call struct {
	at    time.Time
	order string // id; "" if it is about none
	push  bool
}

// newWorld returns a world after a maintenance that ended two hours ago.
func newWorld(ctx context.Context, dir string, count, long int) (*world, error) {
	return newOutage(ctx, dir, count, long, time.Now().Add(-2*time.Hour).UTC().Truncate(time.Second))
}

// newOutage returns a world with a maintenance that is to end at a time. Connect is down until then, or if that is to
// come, until the test changes that.
func newOutage(ctx context.Context, dir string, count, long int, end time.Time) (*world, error) {
	w := &world{long: long, settings: settings{
		Dir: dir, Window: maintenance.Window{ID: "W", Start: end.Add(-2 * time.Hour), End: end}, Rate: 20,
		Canary: []int{2, 10},
	}}
	var clock testkit.Clock
	clock.Set(w.settings.Window.Start)
	w.connect = connecttest.New(connecttest.Config{Seed: 1, Now: clock.Now})
	var err error
	if w.settings.Connect, err = w.connect.Start(); err != nil {
		return nil, err
	}
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: 1, Now: clock.Now, ConnectURL: w.settings.Connect, ConnectKey: connecttest.DefaultKey,
		InMaintenance: w.connect.InMaintenance, PollInterval: 50 * time.Millisecond, StaleEventFor: settle,
		StaleReadsFor: settle / 4,
	})
	if err != nil {
		return nil, err
	}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	w.settings.Commerce = w.server.URL
	w.connect.SetMaintenance(true)
	for i := range count {
		clock.Add(2 * time.Hour / time.Duration(count+1))
		if err := w.place(ctx, i); err != nil {
			return nil, err
		}
	}
	if end.Before(time.Now()) {
		clock.Set(end)
		w.connect.SetMaintenance(false)
	}
	clock.Set(time.Time{})
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	go func() { _ = w.commerce.Run(live) }() // until it is closed
	return w, nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	_, path, _ := strings.Cut(r.URL.Path, "/orders/")
	order, push := strings.CutSuffix(path, "/push")
	w.mu.Lock()
	w.calls = append(w.calls, call{time.Now(), order, push})
	w.mu.Unlock()
	w.commerce.ServeHTTP(rw, r)
}

// before returns the order before another one of the same subscription: every third one changes the subscription of
// the order before, and the first ones share one.
func (w *world) before(i int) (before int, ok bool) { return i - 1, i%3 == 2 || i > 0 && i < w.long }

// place makes an order fail.
func (w *world) place(ctx context.Context, i int) error {
	first, spec := i, commercetest.OrderSpec{}
	for before, ok := w.before(i); ok; before, ok = w.before(first) {
		first, spec.Type = before, commerce.TypeChange
	}
	spec.Subscription, spec.Customer = strconv.Itoa(2_000_000+first), strconv.Itoa(3_000_000+first)
	o := w.commerce.Place(spec)
	if err := w.commerce.Step(ctx); err != nil {
		return err
	}
	if o, _ = w.commerce.Order(o.ID); o.Status != commerce.StatusProvisioningFailed {
		return fmt.Errorf("the order %s has not failed", o.Number)
	}
	w.numbers = append(w.numbers, o.Number)
	return nil
}

func (w *world) close() {
	w.stop()
	w.server.Close()
	_ = w.connect.Close() // it only serves this process
}

// plan makes the plan, and puts it where the workers find it.
func (w *world) plan(ctx context.Context, journal *sqljournal.Journal) (*plan.Plan, error) {
	systems, err1 := w.settings.systems(nil)
	calendar, err2 := w.settings.calendar()
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	path := filepath.Join(w.settings.Dir, "new-plan.jsonl")
	_, err := resubmit.WritePlanFile(ctx, resubmit.PlanConfig{
		Systems: systems, Policy: policy(), Journal: journal, Calendar: calendar, Filter: filter.Everything(),
		RateLimit: -1,
	}, path)
	if err != nil {
		return nil, err
	}
	p, err := plan.Open(path)
	if err != nil {
		return nil, err
	}
	return p, errors.Join(temporal.Dir(w.settings.Dir).Put(ctx, p), os.Remove(path))
}

// left returns how many orders are not completed.
func (w *world) left() (n int) {
	for _, o := range w.commerce.Orders() {
		if o.Status != commerce.StatusCompleted {
			n++
		}
	}
	return n
}

// check checks by the ledgers of the systems that all orders are completed and that no failure was pushed twice.
func (w *world) check() error {
	if n := w.left(); n > 0 {
		return fmt.Errorf("%d orders are not completed", n)
	}
	return w.checkPushes()
}

// checkPushes checks by the ledgers of the systems that no failure was pushed twice.
func (w *world) checkPushes() error {
	if v := w.commerce.Violations(); len(v) > 0 {
		return fmt.Errorf("violations: %v", v)
	}
	if v := w.connect.Violations(); len(v) > 0 {
		return fmt.Errorf("violations: %v", v)
	}
	type failure struct {
		order  string
		number int
	}
	accepted := make(map[failure]int)
	for _, c := range w.commerce.Pushes() {
		f := failure{c.Number, c.FailureNumber}
		if c.Accepted {
			accepted[f]++
		}
		if accepted[f] > 1 {
			return fmt.Errorf("the order %s was resubmitted twice after one failure", c.Number)
		}
	}
	return nil
}

// freePort returns the first of four ports that are free. They are not of those that the system gives to connections,
// so that a server can be started again.
func freePort(ctx context.Context) (int, error) {
	for range 100 {
		port := 20_000 + rand.N(10_000)
		if areFree(ctx, port, port+1, port+2, port+3) {
			return port, nil
		}
	}
	return 0, errors.New("no four free ports were found")
}

func areFree(ctx context.Context, ports ...int) bool {
	for _, port := range ports {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close() // nothing was accepted
	}
	return true
}
