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
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
)

// promise is a requirement of a suite and its check.
type promise struct {
	text  string
	needs Fault // "": none
	run   func(*suite)
}

// run checks the promises of a suite, each in a subtest.
func run(t *testing.T, f Fixture, suite []promise) {
	t.Helper()
	for _, c := range suite {
		if !c.lacks(f) {
			t.Run(c.text, func(t *testing.T) {
				t.Helper()
				c.check(t, f)
			})
		}
	}
	if promises := unchecked(f, suite); len(promises) > 0 {
		t.Logf("not checked, because the fixture lacks faults: %s", strings.Join(promises, "; "))
	}
}

// lacks reports whether the fixture lacks the fault that the promise needs.
func (c promise) lacks(f Fixture) bool { return c.needs != "" && !slices.Contains(f.Faults, c.needs) }

// unchecked returns the promises that need faults which the fixture lacks.
func unchecked(f Fixture, suite []promise) (promises []string) {
	for _, c := range suite {
		if c.lacks(f) {
			promises = append(promises, fmt.Sprintf("%s (needs %q)", c.text, c.needs))
		}
	}
	return promises
}

// check runs the check with a new system.
func (c promise) check(t testing.TB, f Fixture) {
	t.Helper()
	conformance.Run(t, c.text, func(check *conformance.Check) {
		s := &suite{Check: check, fixture: f}
		if f.New == nil || f.MissingID == "" {
			s.Fatalf("the fixture needs New and MissingID")
		}
		s.system = f.New(t)
		if (s.system.Inject != nil) != (len(f.Faults) > 0) {
			s.Fatalf("set both System.Inject and Fixture.Faults, or neither")
		}
		c.run(s)
	})
}

// suite checks one promise of an adapter.
type suite struct {
	*conformance.Check

	fixture Fixture
	system  System
}

func (s *suite) callTimeout() time.Duration { return cmp.Or(s.fixture.CallTimeout, 10*time.Second) }

func (s *suite) target() commerce.Status { return cmp.Or(s.fixture.Target, commerce.StatusPaid) }

// within fails the check if a call hangs. A fixture that calls t.FailNow in the call ends only the call, but fails the
// test.
func (s *suite) within(what string, call func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	timer := time.NewTimer(s.callTimeout())
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.Fatalf("%s did not return within %s", what, s.callTimeout())
	}
}

// inject makes calls fail until stop is called or the check ends.
func (s *suite) inject(f Fault, on CallKind) (stop func()) {
	stop = s.system.Inject(s.TB, f, on)
	s.Cleanup(stop)
	return stop
}

// checkError checks the fields and the text of an error, which may be nil.
func (s *suite) checkError(err error) {
	if err == nil {
		return
	}
	text := err.Error()
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		text += fmt.Sprintf("%+v", *e)
		const most = 1 << 10
		if e.Op == "" || len(e.Body) > most {
			s.Errorf("an error must have an Op and at most %d bytes of Body, not %q and %d bytes", most, e.Op, len(e.Body))
		}
	}
	for i, secret := range s.fixture.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.Errorf("an error contains the secret Secrets[%d]: %q", i,
				strings.ReplaceAll(err.Error(), secret, "***"))
		}
	}
}

// start is when the first order is placed.
var start = time.Date(2026, 3, 7, 2, 0, 0, 0, time.UTC)

// newOrder is a failed purchase, placed n minutes after start.
func newOrder(n int) OrderSpec {
	return OrderSpec{
		Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		Failure: "503 Service Unavailable", PlacedAt: start.Add(time.Duration(n) * time.Minute),
		Total: commerce.Money{Amount: decimal.New(int64(1000+n), -2), Currency: "USD"},
	}
}

// add adds orders and checks what the fixture returns.
func (s *suite) add(news ...OrderSpec) []*commerce.Order {
	if s.system.AddOrder == nil {
		s.Fatalf("the fixture needs System.AddOrder")
	}
	wants := make([]*commerce.Order, len(news))
	for i, n := range news {
		want := s.system.AddOrder(s.TB, n)
		switch {
		case want == nil || want.ID == "" || want.Number == "":
			s.Fatalf("the fixture: AddOrder must return the order with its ID and Number; if OrderSpec.ID is empty, assign one")
		case want.Status != n.Status || want.Type != n.Type || !want.PlacedAt.Equal(n.PlacedAt):
			s.Fatalf("the fixture: AddOrder returned a %s order with the status %s, placed at %s, for %+v",
				want.Type, want.Status, want.PlacedAt, n)
		case !want.Total.IsZero() && (want.Total.Currency != n.Total.Currency || !want.Total.Amount.Equal(n.Total.Amount)):
			s.Fatalf("the fixture: AddOrder returned an order over %s, not %s; return zero if the adapter does not report it",
				want.Total, n.Total)
		}
		wants[i] = want
	}
	return wants
}

// addFailed adds n failed orders, each placed a minute after the previous one.
func (s *suite) addFailed(n int) []*commerce.Order {
	news := make([]OrderSpec, n)
	for i := range news {
		news[i] = newOrder(i)
	}
	return s.add(news...)
}

// specialIDs are ids with special characters.
func specialIDs() []string {
	return []string{"a/b", "a b", "100%", "%2F", "a?b=c", "a#b", "../a", "a,b(c)", "ä&ö", `a"b<c>`}
}

// similarIDs are ids similar to an existing one.
func similarIDs(id string) []string {
	return []string{
		fmt.Sprintf("%%%02X%s", id[0], id[1:]), "", " ", ".", "..", id + " ", " " + id, id + "/", "/" + id, "./" + id,
		id + "/..", "x/../" + id,
		id + "%", id + "%20", "%2F" + id, id + "?x=y", id + "?", id + "#x", id + ",", id + "\x00", id + "\n",
		id + "/push", id + ";x", "0" + id, "+" + id,
	}
}
