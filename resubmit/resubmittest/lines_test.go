package resubmittest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// forgetful is a store that keeps no plan.
type forgetful struct{}

func (forgetful) Open(context.Context, string) (*plan.Plan, error) {
	return nil, errors.New("forgotten")
}
func (forgetful) Put(context.Context, *plan.Plan) error { return nil }

// runBrokenSuites runs the suites as a user would, with an adapter and a journal that break many promises.
func runBrokenSuites(t *testing.T) {
	f := resubmittest.Fixture{MissingID: "D-0", New: func(t testing.TB) resubmittest.System {
		system := newDesk(t)
		changeListed(func(o *commerce.Order) { o.Number, o.Total = "spoilt", commerce.Money{} })(&system)
		changeOrders(func(o *commerce.Order) { o.Number, o.Total = "spoilt", commerce.Money{} })(&system)
		changePush(func(_ string, to commerce.Status) (string, commerce.Status) { return "D-1", to })(&system)
		return system
	}}
	resubmittest.TestLister(t, f)
	resubmittest.TestReader(t, f)
	resubmittest.TestPusher(t, f)
	resubmittest.TestJournal(t, func(string) (resubmit.Journal, error) { return new(resubmit.MemoryJournal), nil })
	resubmittest.CheckRunner(t, resubmit.Config{}).OnEvent(resubmit.GateOpened{})
	check := resubmittest.CheckWatcher(t)
	check(watch.Config{}).OnClosed(watch.Episode{}, nil)
	stores := resubmittest.PlanStoreFixture{
		New:    func(*testing.T) plan.Store { return forgetful{} },
		Change: func(*testing.T, string, bool, func([]byte) []byte) {},
	}
	resubmittest.TestPlanStore(t, stores)
	t.Run("in a subtest", func(t *testing.T) { resubmittest.TestReader(t, f) })
}

// TestFailuresPointToTheCaller runs broken suites in another process, and reads what go test prints of them.
func TestFailuresPointToTheCaller(t *testing.T) {
	t.Parallel()
	const inChild = "RESUBMITTEST_BROKEN"
	if os.Getenv(inChild) != "" {
		runBrokenSuites(t)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), inChild+"=1")
	printed, err := child.CombinedOutput()
	require.Error(t, err, "the suites must fail")
	source, err := os.ReadFile("lines_test.go")
	require.NoError(t, err)
	lines := strings.Split(string(source), "\n")
	times := map[string]int{}
	for text := range strings.Lines(string(printed)) {
		place, rest, found := strings.Cut(strings.TrimSpace(text), ": ")
		file, number, _ := strings.Cut(place, ":")
		if !found || !strings.HasSuffix(file, ".go") {
			continue
		}
		require.Equal(t, "lines_test.go", file, text)
		n, err := strconv.Atoi(number)
		require.NoError(t, err, text)
		call := lines[n-1]
		require.Contains(t, call, "resubmittest.", text)
		if promise, broken := strings.CutPrefix(rest, "broken promise: "); broken {
			promise, _, _ = strings.Cut(promise, ":")
			times[call+promise]++
		}
	}
	for promise, n := range times {
		require.Equal(t, 1, n, promise)
	}
	for suite, least := range map[string]int{
		"\tresubmittest.TestLister": 1, "\tresubmittest.TestReader": 2, "\tresubmittest.TestPusher": 3,
		"\tresubmittest.TestJournal": 5, "\tresubmittest.TestPlanStore": 10, `t.Run("in a subtest"`: 2,
		"resubmittest.CheckRunner": 1, "resubmittest.CheckWatcher": 1,
	} {
		n := 0
		for promise := range times {
			if strings.Contains(promise, suite) {
				n++
			}
		}
		require.GreaterOrEqual(t, n, least, suite)
	}
}
