package resubmittest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// recorder is a testing.TB that keeps what fails.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failures runs one check and returns what failed.
func failures(t *testing.T, suite, promise string, f resubmittest.Fixture) []string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		resubmittest.Prove(r, suite, promise, f)
	}()
	<-done
	return r.failures
}

// broken is an adapter that breaks promises.
type broken struct {
	name    string
	poor    bool // what is broken is the adapter that can do next to nothing
	hangs   bool // so that it is of no use to be patient
	breaks  func(system *resubmittest.System)
	promise string // part of one that must be found broken
	says    string // part of the message
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
		f.Patience = 100 * time.Millisecond
	}
	return f
}

// requireCaught runs a suite against broken adapters: each must be caught by the check
// that it is made for, in words, and each check must catch one that is made for it.
func requireCaught(t *testing.T, suite string, adapters []broken) {
	t.Helper()
	made := map[string]bool{}
	for _, b := range adapters {
		for _, promise := range resubmittest.Promises(suite) {
			made[promise] = made[promise] || strings.Contains(promise, b.promise)
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			var said []string
			for _, promise := range resubmittest.Promises(suite) {
				if strings.Contains(promise, b.promise) {
					said = append(said, failures(t, suite, promise, b.fixture())...)
				}
			}
			text := strings.Join(said, "\n")
			require.Contains(t, text, "broken promise: ")
			require.Contains(t, text, b.says)
		})
	}
	for promise, caught := range made {
		require.True(t, caught, "no adapter is broken so that it is caught by %q", promise)
	}
}

// What cannot be proved without faults is not passed over in silence.
func TestPromisesThatNeedFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for suite, want := range map[string]int{"source": 7, "reader": 7, "pusher": 9} {
		require.Empty(t, resubmittest.Unproved(suite, rich()))
		require.Len(t, resubmittest.Unproved(suite, poor()), want, suite)
	}
	some := rich()
	some.Faults = []resubmittest.Fault{resubmittest.Denied, resubmittest.Page, resubmittest.AnswerLost,
		resubmittest.AnswerHalf, resubmittest.Slow, resubmittest.Another}
	require.Equal(t, []string{`a system that is away is ErrUnavailable to a reader (needs ["unavailable"])`},
		resubmittest.Unproved("reader", some))
}

// A fixture that is wrong in itself proves nothing.
func TestAWrongFixtureIsSaidToBe(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, suite, promise, says string
		change                     func(*resubmittest.Fixture)
		system                     func(*resubmittest.System)
	}{
		{"has no id that is missing", "reader", "an order is read as it is", "has no New or no Missing",
			func(f *resubmittest.Fixture) { f.Missing = "" }, nil},
		{"has faults that nobody can play", "source", "nothing found is an empty list and no error", "go together",
			nil, func(s *resubmittest.System) { s.Break = nil }},
		{"can play faults that it does not name", "source", "nothing found is an empty list and no error", "go together",
			func(f *resubmittest.Fixture) { f.Faults = nil }, nil},
		{"puts no orders", "reader", "an order is read as it is", "no System.Put", nil,
			func(s *resubmittest.System) { s.Put = nil }},
		{"puts other orders than asked for", "reader", "an order is read as it is", "Put made a",
			nil, func(s *resubmittest.System) {
				put := s.Put
				s.Put = func(t testing.TB, n resubmittest.NewOrder) *commerce.Order {
					n.Status = commerce.StatusLongRunning
					return put(t, n)
				}
			}},
		{"puts them over another amount", "reader", "an order is read as it is", "Put made an order over 5 EUR",
			nil, func(s *resubmittest.System) {
				put := s.Put
				s.Put = func(t testing.TB, n resubmittest.NewOrder) *commerce.Order {
					n.Total = commerce.Money{Amount: decimal.New(5, 0), Currency: "EUR"}
					return put(t, n)
				}
			}},
		{"has no source", "source", "nothing found is an empty list and no error", "no System.Source", nil,
			func(s *resubmittest.System) { s.Source = nil }},
		{"has no reader", "reader", "an order is read as it is", "no System.Reader", nil,
			func(s *resubmittest.System) { s.Reader = nil }},
		{"has no pusher", "pusher", "a second push of a moved order moves nothing", "no System.Pusher", nil,
			func(s *resubmittest.System) { s.Pusher = nil }},
		{"has no ledger", "pusher", "a second push of a moved order moves nothing", "no System.Ledger", nil,
			func(s *resubmittest.System) { s.Ledger = nil }},
		{"cannot take orders away", "reader", "an order is read as it is now", "no System.TakeAway", nil,
			func(s *resubmittest.System) { s.TakeAway = nil }},
		{"loses the answer of what it did not do", "pusher",
			"a lost answer is an error with Delivery unknown, and the push is not sent again", "must do what it is asked",
			nil, func(s *resubmittest.System) {
				spoil := s.Break
				s.Break = func(t testing.TB, _ resubmittest.Fault, on resubmittest.Calls) func() {
					return spoil(t, resubmittest.Unavailable, on)
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
