package resubmit_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

type spanKey struct{}

// spans is a Tracer that writes down what it is told.
type spans struct {
	mu    sync.Mutex
	lines []string
	fail  func() // is called at each beginning and end
}

func (s *spans) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	if s.fail != nil {
		s.fail()
	}
}

// begin returns a context with the path of the span.
func (s *spans) begin(ctx context.Context, name string) (context.Context, string) {
	path := strings.TrimPrefix(spanOf(ctx)+"/"+name, "/")
	s.note("begin " + path)
	return context.WithValue(ctx, spanKey{}, path), path
}

func spanOf(ctx context.Context) string {
	path, _ := ctx.Value(spanKey{}).(string)
	return path
}

func (s *spans) Plan(ctx context.Context) (context.Context, func(string, plan.ActionCounts, error)) {
	ctx, path := s.begin(ctx, "plan")
	return ctx, func(digest string, c plan.ActionCounts, err error) {
		s.note("end " + path + " " + c.String() + errorText(err) + map[bool]string{true: ", no digest"}[digest == ""])
	}
}

func (s *spans) Run(ctx context.Context, _ *plan.Plan) (context.Context, func(*resubmit.Report, error)) {
	ctx, path := s.begin(ctx, "run")
	return ctx, func(r *resubmit.Report, err error) {
		if r != nil {
			path += " " + r.Result.String()
		}
		s.note("end " + path + errorText(err))
	}
}

func (s *spans) Order(ctx context.Context, e *plan.Entry) (context.Context, func(*resubmit.Item)) {
	ctx, path := s.begin(ctx, e.Number)
	return ctx, func(i *resubmit.Item) { s.note("end " + path + " " + string(i.Outcome)) }
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return ", " + err.Error()
}

func TestTracerSeesRunAndOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b")}
		orders[1].onRead = moveTo(commerce.StatusCompleted)
		s, seen := newShop(orders...), &spans{}
		s.onPush = func(ctx context.Context, _ string) { seen.note("push in " + spanOf(ctx)) }
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Tracer, c.Concurrency, c.MaxOpenOrders = seen, 1, 1 })
		_, err := r.Apply(context.WithValue(t.Context(), spanKey{}, "job"), planFor(t, orders...))
		require.NoError(t, err)
		require.ElementsMatch(t, []string{
			"begin job/run", "begin job/run/SO000001", "push in job/run/SO000001", "end job/run/SO000001 completed",
			"begin job/run/SO000002", "end job/run/SO000002 skipped", "end job/run 1 completed, 1 skipped",
		}, seen.lines)
	})
}

func TestTracerSeesWhyRunDidNotStart(t *testing.T) {
	t.Parallel()
	o, seen := outageOrder(1, "a"), &spans{}
	r := runnerFor(t, newShop(o), func(c *resubmit.Config) { c.Tracer, c.Name = seen, "another system" })
	_, err := r.Apply(t.Context(), planFor(t, o))
	require.ErrorIs(t, err, plan.ErrSystemMismatch)
	require.Equal(t, []string{"begin run", "end run, " + err.Error()}, seen.lines)
}

func TestTracerSeesPlan(t *testing.T) {
	t.Parallel()
	seen := &spans{}
	cfg := resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: &planSource{}}), Journal: new(resubmit.MemoryJournal),
		Filter: filter.Everything(), Tracer: seen, IgnoreConnect: true,
	}
	p, err := resubmit.BuildPlan(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, []string{"begin plan", "end plan " + p.Counts().String()}, seen.lines)
	cfg.Override = []string{"SO000009"}
	_, err = resubmit.BuildPlan(t.Context(), cfg)
	require.Error(t, err)
	require.Equal(t, "end plan "+plan.ActionCounts{}.String()+", "+err.Error()+", no digest", seen.lines[3])
}

func TestTracerThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(){
		"panic":  func() { panic("no exporter") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, seen := outageOrder(1, "a"), &spans{fail: fail}
				s := newShop(o)
				var log bytes.Buffer
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Tracer, c.Logger = seen, slog.New(slog.NewTextHandler(&log, nil))
				})
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
				require.Len(t, s.ledger, 1)
				require.Contains(t, log.String(), map[string]string{"panic": "no exporter", "goexit": "runtime.Goexit"}[name])
			})
		})
	}
}
