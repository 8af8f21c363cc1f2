package resubmittest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// failures checks one promise and returns the failures.
func failures(t *testing.T, suite, promise string, f resubmittest.Fixture) []string {
	t.Helper()
	return conformance.Failures(t, func(t testing.TB) { resubmittest.Check(t, suite, promise, f) })
}

// broken is an adapter that breaks a promise.
type broken struct {
	name    string
	poor    bool // based on the poor adapter
	hangs   bool // use a short timeout
	breaks  func(system *resubmittest.System)
	promise string // part of the text of the broken promise
	says    string // part of the failure
}

func (b broken) fixture() resubmittest.Fixture {
	f := rich()
	if b.poor {
		f = poor()
	}
	good := f.New
	f.New = func(t testing.TB) resubmittest.System {
		system := good(t)
		b.breaks(&system)
		return system
	}
	if b.hangs {
		f.CallTimeout = 100 * time.Millisecond
	}
	return f
}

// requireCaught runs a suite with broken adapters. The check of its promise must catch each, and each check must catch
// one.
func requireCaught(t *testing.T, suite string, adapters []broken) {
	t.Helper()
	caught := map[string]bool{}
	for _, b := range adapters {
		for _, promise := range resubmittest.Promises(suite) {
			caught[promise] = caught[promise] || strings.Contains(promise, b.promise)
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			var found []string
			for _, promise := range resubmittest.Promises(suite) {
				if strings.Contains(promise, b.promise) {
					found = append(found, failures(t, suite, promise, b.fixture())...)
				}
			}
			text := strings.Join(found, "\n")
			require.Contains(t, text, "broken promise: ")
			require.Contains(t, text, b.says)
		})
	}
	for promise, ok := range caught {
		require.True(t, ok, "no adapter breaks %q", promise)
	}
}

// TestUncheckedPromises checks that promises are reported that need faults which the fixture lacks.
func TestUncheckedPromises(t *testing.T) {
	t.Parallel()
	for suite, want := range map[string]int{"lister": 7, "reader": 7, "pusher": 9} {
		require.Empty(t, resubmittest.Unchecked(suite, rich()))
		require.Len(t, resubmittest.Unchecked(suite, poor()), want, suite)
	}
	some := rich()
	some.Faults = []resubmittest.Fault{resubmittest.FaultUnauthorized, resubmittest.FaultHTMLPage,
		resubmittest.FaultResponseLost,
		resubmittest.FaultResponseTruncated, resubmittest.FaultResponseDelayed, resubmittest.FaultWrongOrder}
	require.Equal(t, []string{`returns ErrUnavailable if the system is unavailable (needs "unavailable")`},
		resubmittest.Unchecked("reader", some))
}

// TestInvalidFixture checks that the suites reject invalid fixtures.
func TestInvalidFixture(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, suite, promise, says string
		change                     func(*resubmittest.Fixture)
		system                     func(*resubmittest.System)
	}{
		{"no missing id", "reader", "reads correct fields", "needs New and MissingID",
			func(f *resubmittest.Fixture) { f.MissingID = "" }, nil},
		{"faults without Inject", "lister", "returns no error if nothing matches", "or neither",
			nil, func(s *resubmittest.System) { s.Inject = nil }},
		{"Inject without faults", "lister", "returns no error if nothing matches", "or neither",
			func(f *resubmittest.Fixture) { f.Faults = nil }, nil},
		{"no AddOrder", "reader", "reads correct fields", "needs System.AddOrder", nil,
			func(s *resubmittest.System) { s.AddOrder = nil }},
		{"adds other orders", "reader", "reads correct fields", "AddOrder returned a",
			nil, func(s *resubmittest.System) {
				put := s.AddOrder
				s.AddOrder = func(t testing.TB, n resubmittest.OrderSpec) *commerce.Order {
					n.Status = commerce.StatusLongRunning
					return put(t, n)
				}
			}},
		{"adds another amount", "reader", "reads correct fields", "AddOrder returned an order over 5 EUR",
			nil, func(s *resubmittest.System) {
				put := s.AddOrder
				s.AddOrder = func(t testing.TB, n resubmittest.OrderSpec) *commerce.Order {
					n.Total = commerce.Money{Amount: decimal.New(5, 0), Currency: "EUR"}
					return put(t, n)
				}
			}},
		{"no lister", "lister", "returns no error if nothing matches", "needs System.Lister", nil,
			func(s *resubmittest.System) { s.Lister = nil }},
		{"no reader", "reader", "reads correct fields", "needs System.Reader", nil,
			func(s *resubmittest.System) { s.Reader = nil }},
		{"no pusher", "pusher", "moves nothing with a second push", "needs System.Pushes and System.Pusher", nil,
			func(s *resubmittest.System) { s.Pusher = nil }},
		{"no ledger", "pusher", "moves nothing with a second push", "needs System.Pushes and System.Pusher", nil,
			func(s *resubmittest.System) { s.Ledger = nil }},
		{"no CancelOrder", "reader", "reads the current state", "needs System.CancelOrder", nil,
			func(s *resubmittest.System) { s.CancelOrder = nil }},
		{"loses the response of an undone call", "pusher",
			"returns unknown delivery without a retry for a lost response", "must be done before the fault",
			nil, func(s *resubmittest.System) {
				spoil := s.Inject
				s.Inject = func(t testing.TB, _ resubmittest.Fault, on resubmittest.CallKind) func() {
					return spoil(t, resubmittest.FaultUnavailable, on)
				}
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := broken{breaks: func(*resubmittest.System) {}}
			if tc.system != nil {
				b.breaks = tc.system
			}
			f := b.fixture()
			if tc.change != nil {
				tc.change(&f)
			}
			require.Contains(t, strings.Join(failures(t, tc.suite, tc.promise, f), "\n"), tc.says)
		})
	}
}
