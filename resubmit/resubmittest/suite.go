package resubmittest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// check is one promise and how it is proved.
type check struct {
	promise string
	needs   []Fault
	run     func(*stand)
}

// run runs a suite, each check as a subtest.
func run(t *testing.T, f Fixture, suite []check) {
	t.Helper()
	for _, c := range suite {
		if len(c.lacks(f)) == 0 {
			t.Run(c.promise, func(t *testing.T) { c.prove(t, f) })
		}
	}
	if promises := unproved(f, suite); len(promises) > 0 {
		t.Logf("not proved, because the fixture does not have the faults: %s", strings.Join(promises, "; "))
	}
}

// lacks are the faults that a check needs and the fixture does not have.
func (c check) lacks(f Fixture) []Fault {
	return slices.DeleteFunc(slices.Clone(c.needs), func(need Fault) bool { return slices.Contains(f.Faults, need) })
}

// unproved are the promises that nothing can be said about.
func unproved(f Fixture, suite []check) (promises []string) {
	for _, c := range suite {
		if lacking := c.lacks(f); len(lacking) > 0 {
			promises = append(promises, fmt.Sprintf("%s (needs %q)", c.promise, lacking))
		}
	}
	return promises
}

func (c check) prove(t testing.TB, f Fixture) {
	t.Helper()
	s := &stand{TB: t, promise: c.promise, fix: f}
	if f.New == nil || f.Missing == "" {
		s.Fatalf("the fixture has no New or no Missing; give what makes a system, and an id that no order has")
	}
	s.sys = f.New(t)
	if (s.sys.Break != nil) != (len(f.Faults) > 0) {
		s.Fatalf("System.Break and Fixture.Faults go together: give both or none")
	}
	c.run(s)
}

// stand is where an adapter stands while one promise is checked.
type stand struct {
	testing.TB
	promise string
	fix     Fixture
	sys     System
}

// Errorf says which promise is broken, and how.
func (s *stand) Errorf(format string, args ...any) {
	s.Helper()
	s.TB.Errorf("broken promise: %s: %s", s.promise, fmt.Sprintf(format, args...))
}

// Fatalf is Errorf, and ends the check.
func (s *stand) Fatalf(format string, args ...any) {
	s.Helper()
	s.TB.Fatalf("broken promise: %s: %s", s.promise, fmt.Sprintf(format, args...))
}

func (s *stand) patience() time.Duration { return cmp.Or(s.fix.Patience, 10*time.Second) }

func (s *stand) target() commerce.Status { return cmp.Or(s.fix.Target, commerce.StatusPaid) }

// within fails the check when a call hangs. A fixture that ends the test inside of
// the call ends only the call, and the test has failed.
func (s *stand) within(what string, call func()) {
	s.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	timer := time.NewTimer(s.patience())
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.Fatalf("%s did not come back within %s", what, s.patience())
	}
}

// spoil breaks calls until mend, or the end of the check.
func (s *stand) spoil(f Fault, on Calls) (mend func()) {
	mend = s.sys.Break(s.TB, f, on)
	s.Cleanup(mend)
	return mend
}

// inspect looks into an error, which may be nil.
func (s *stand) inspect(err error) {
	s.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		text += fmt.Sprintf("%+v", *e)
		const most = 1 << 10
		if e.Op == "" || len(e.Body) > most {
			s.Errorf("an error must have an Op, and at most %d bytes of Body: it has %q and %d bytes", most, e.Op, len(e.Body))
		}
	}
	for i, secret := range s.fix.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.Errorf("an error holds a secret, which no error may: Secrets[%d] in %q", i,
				strings.ReplaceAll(err.Error(), secret, "***"))
		}
	}
}

// start is when the first order of a check is placed.
var start = time.Date(2026, 3, 7, 2, 0, 0, 0, time.UTC)

// usual is the order that a check puts where nothing else is said: a failed purchase.
func usual(n int) NewOrder {
	return NewOrder{
		Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		Failure: "503 Service Unavailable", PlacedAt: start.Add(time.Duration(n) * time.Minute),
		Total: commerce.Money{Amount: decimal.New(int64(1000+n), -2), Currency: "USD"},
	}
}

// put adds orders and looks at what the fixture says about them.
func (s *stand) put(news ...NewOrder) []*commerce.Order {
	s.Helper()
	if s.sys.Put == nil {
		s.Fatalf("the fixture has no System.Put")
	}
	wants := make([]*commerce.Order, len(news))
	for i, n := range news {
		want := s.sys.Put(s.TB, n)
		switch {
		case want == nil || want.ID == "" || want.Number == "":
			s.Fatalf("the fixture: Put must return the order, with its ID and Number; where NewOrder.ID is empty, make one")
		case want.Status != n.Status || want.Type != n.Type || !want.PlacedAt.Equal(n.PlacedAt):
			s.Fatalf("the fixture: Put made a %s order with the status %s, placed at %s, for %+v", want.Type, want.Status,
				want.PlacedAt, n)
		case !want.Total.IsZero() && (want.Total.Currency != n.Total.Currency || !want.Total.Amount.Equal(n.Total.Amount)):
			s.Fatalf("the fixture: Put made an order over %s, not %s; the zero value says that the adapter does not tell it",
				want.Total, n.Total)
		}
		wants[i] = want
	}
	return wants
}

// failed puts n failed orders, each placed a minute after the one before.
func (s *stand) failed(n int) []*commerce.Order {
	s.Helper()
	news := make([]NewOrder, n)
	for i := range news {
		news[i] = usual(i)
	}
	return s.put(news...)
}

// oddities are what ids may look like, and must not be taken apart for.
func oddities() []string {
	return []string{"a/b", "a b", "100%", "%2F", "a?b=c", "a#b", "../a", "a,b(c)", "ä&ö", `a"b<c>`}
}

// oddIDs are ids that no order has, made of one that some order has.
func oddIDs(id string) []string {
	return []string{
		fmt.Sprintf("%%%02X%s", id[0], id[1:]), "", " ", ".", "..", id + " ", " " + id, id + "/", "/" + id, "./" + id,
		id + "/..", "x/../" + id,
		id + "%", id + "%20", "%2F" + id, id + "?x=y", id + "?", id + "#x", id + ",", id + "\x00", id + "\n",
		id + "/push", id + ";x", "0" + id, "+" + id,
	}
}
