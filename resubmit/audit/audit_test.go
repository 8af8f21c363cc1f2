package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

var ana = audit.Who{User: "ana", Host: "web1", Program: "night"}

func open(t testing.TB, path string, opts ...audit.Option) *audit.Log {
	t.Helper()
	log, err := audit.Open(path, ana, opts...)
	require.NoError(t, err)
	return log
}

// written returns the path of a closed log with n lines between the first and the last.
func written(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	for i := range n {
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead, Order: "id-" + strconv.Itoa(i),
			Why: "it says \"so\"\n"}))
	}
	require.NoError(t, log.Close())
	return path
}

func linesOf(t testing.TB, path string) []audit.Line {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var lines []audit.Line
	for _, l := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var line audit.Line
		dec := json.NewDecoder(strings.NewReader(l))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&line), l)
		lines = append(lines, line)
	}
	return lines
}

func events(lines []audit.Line) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = strings.TrimSpace(l.Event + " " + l.Order)
	}
	return all
}

func TestWrapRecordsDecisionsCallsAndOutcomes(t *testing.T) {
	t.Parallel()
	s := newShop(3)
	s.onPush = func(id string) error {
		if id == "id-3" {
			return &commerce.Error{Op: "push order", HTTPStatus: 409, CorrelationID: "corr-77",
				Delivery: commerce.DeliveryRefused,
				Err:      commerce.ErrConflict}
		}
		return nil
	}
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	runner, err := resubmit.NewRunner(log.Wrap(s.config()))
	require.NoError(t, err)
	plan := s.plan(t, "id-2")
	report, err := runner.Apply(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, resubmit.OutcomeCounts{Completed: 1, Skipped: 1}, report.Result)
	require.NoError(t, log.Close())

	head, err := audit.VerifyFile(path)
	require.NoError(t, err)
	require.True(t, head.Closed)
	lines := linesOf(t, path)
	require.Len(t, lines, head.Lines)
	require.Equal(t, []string{
		"opened", "plan", "decision id-1", "decision id-2", "decision id-3", "decisions-end",
		"read id-1", "intent id-1", "push id-1", "answer id-1",
	}, events(lines)[:10])
	require.Equal(t, []string{"finished", "closed"}, events(lines)[len(lines)-2:])
	for i, l := range lines {
		require.Equal(t, i+1, l.N)
		require.False(t, l.At.IsZero())
		require.Equal(t, "ana@web1 night", l.Who)
	}
	of := func(event, order string) audit.Line {
		i := slices.IndexFunc(lines, func(l audit.Line) bool { return l.Event == event && l.Order == order })
		require.GreaterOrEqual(t, i, 0, "%s of %s", event, order)
		return lines[i]
	}
	require.Equal(t, plan.Digest(), of("plan", "").Plan)
	require.Equal(t, 3, of("decisions-end", "").Counts.Total)
	held := of("decision", "id-2")
	require.Equal(t, rules.Hold, held.Action)
	require.Equal(t, "nobody knows", held.Why)
	require.Equal(t, "unclear", held.Rule)
	require.Equal(t, commerce.StatusProvisioningFailed, held.Before.Status)
	require.Equal(t, "accepted", of("answer", "id-1").State)
	require.Equal(t, of("push", "id-1").Call, of("answer", "id-1").Call)
	require.NotEqual(t, of("push", "id-1").Call, of("push", "id-3").Call)
	refused := of("answer", "id-3")
	require.Equal(t, "failed", refused.State)
	require.Equal(t, "corr-77", refused.CorrelationID)
	require.Equal(t, commerce.DeliveryRefused, refused.Delivery)
	require.Contains(t, refused.Error, "HTTP 409")
	done := of("outcome", "id-1")
	require.Equal(t, protocol.Completed, done.Outcome)
	require.Equal(t, commerce.StatusProvisioningFailed, done.Before.Status)
	require.Equal(t, commerce.StatusCompleted, done.After.Status)
	require.Equal(t, []string{"subscription 1000001, purchase: PR-1000001 approved"}, of("lookup", "").Found)
	require.Equal(t, "corr-77", of("outcome", "id-3").CorrelationID)
	require.Equal(t, report.Result, *of("finished", "").Result)
}

func TestDecisionsAreRecordedOncePerPlan(t *testing.T) {
	t.Parallel()
	s, path := newShop(3), filepath.Join(t.TempDir(), "audit")
	plan := s.plan(t)
	for range 2 {
		log := open(t, path)
		runner, err := resubmit.NewRunner(log.Wrap(s.config()))
		require.NoError(t, err)
		_, err = runner.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.NoError(t, log.Close())
	}
	_, err := audit.VerifyFile(path)
	require.NoError(t, err)
	counts := make(map[string]int)
	for _, l := range linesOf(t, path) {
		counts[l.Event]++
	}
	require.Equal(t, 3, counts["decision"])
	require.Equal(t, 2, counts["plan"])
	require.Equal(t, 2, counts["finished"])
}

// claims calls a function right before each claim is recorded.
type claims struct {
	resubmit.Journal
	before func(protocol.Record)
}

func (j claims) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	for _, r := range records {
		if r.Order != nil && r.Order.Phase == protocol.Claimed {
			j.before(r)
		}
	}
	return j.Journal.Put(ctx, d, records...)
}

func TestIntentIsRecordedBeforeTheClaim(t *testing.T) {
	t.Parallel()
	s, path := newShop(3), filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	cfg := s.config()
	var intents []audit.Line
	cfg.Journal = claims{cfg.Journal, func(r protocol.Record) {
		lines := linesOf(t, path)
		last := lines[len(lines)-1]
		require.Equal(t, r.ID, last.Order)
		intents = append(intents, last)
	}}
	runner, err := resubmit.NewRunner(log.Wrap(cfg))
	require.NoError(t, err)
	_, err = runner.Apply(t.Context(), s.plan(t))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Len(t, intents, 3)
	for _, line := range intents {
		require.Equal(t, audit.EventIntent, line.Event)
		require.Equal(t, commerce.StatusPaid, line.Target)
		require.Equal(t, 1, line.Attempt)
		require.NotEmpty(t, line.Number)
	}
}

func TestWrapRecordsLists(t *testing.T) {
	t.Parallel()
	s, path := newShop(2), filepath.Join(t.TempDir(), "audit")
	s.orders["id-2"].Status = commerce.StatusCompleted
	log := open(t, path)
	lister := log.Wrap(resubmit.Config{Systems: resubmit.SystemsOf(s, s)}).Lister
	for o, err := range lister.Orders(t.Context(), commerce.Query{IDs: []string{"id-1", "id-2"}}) {
		require.NoError(t, err)
		require.NotNil(t, o)
	}
	for _, err := range lister.Orders(t.Context(), commerce.Query{IDs: []string{"gone"}}) {
		require.Error(t, err)
	}
	require.NoError(t, log.Close())
	lines := linesOf(t, path)[1:]
	require.Equal(t, []string{"list", "list", "closed"}, events(lines))
	require.Equal(t, []string{"order id-1: PF", "order id-2: CP"}, lines[0].Found)
	require.Contains(t, lines[1].Error, "no order gone")
}

func TestWriteErrorStopsPushes(t *testing.T) {
	t.Parallel()
	s, path := newShop(3), filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	s.onPush = func(string) error { return log.File().Close() } // the disk fails during the first push
	runner, err := resubmit.NewRunner(log.Wrap(s.config()))
	require.NoError(t, err)
	report, err := runner.Apply(t.Context(), s.plan(t))
	require.ErrorContains(t, err, "nothing more is written")
	require.ErrorContains(t, err, path)
	require.Equal(t, 1, s.pushes)
	require.Equal(t, 3, report.Result.Total())
	rec, err := s.journal.Get(t.Context(), protocol.OrderKey("id-1"))
	require.NoError(t, err)
	require.NotNil(t, rec.Order)
	require.Equal(t, protocol.Pushed, rec.Order.Phase, "the result of the push is still recorded")
	require.Error(t, log.Err())
	require.Equal(t, log.Err(), log.Close())
}

func TestPushIsNotSentWithoutItsLine(t *testing.T) {
	t.Parallel()
	s := newShop(1)
	log := open(t, filepath.Join(t.TempDir(), "audit"))
	cfg := log.Wrap(s.config())
	require.NoError(t, log.Close())
	err := cfg.Pusher.Push(t.Context(), "id-1", "PD")
	e, ok := errors.AsType[*commerce.Error](err)
	require.True(t, ok)
	require.Equal(t, commerce.DeliveryNotSent, e.Delivery)
	require.Zero(t, s.pushes)
}

func TestRecordWritesEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	write := log.Wrap(resubmit.Config{}).Audit
	until := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for _, e := range []resubmit.Event{
		resubmit.GateClosed{Why: "a window", Until: until},
		resubmit.GateOpened{Waited: 1500 * time.Millisecond},
		resubmit.RateChange{Rate: 2.5, Limit: 5, Why: "503"},
		resubmit.BreakerChange{State: resubmit.BreakerOpen, Why: "5 of 6 failed again", Next: until},
		resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: "vendor 7", Limit: 5, Good: 2, Bad: 1}},
		resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: "vendor 7", Limit: -1, Good: 5}},
		resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: "vendor 8", Stopped: "too many failed"}},
		resubmit.RunStateChange{State: "paused", Why: "lunch"},
	} {
		require.NoError(t, write(e))
	}
	require.NoError(t, log.Close())
	lines := linesOf(t, path)
	for i, want := range []audit.Line{
		{Event: "wait", Why: "a window", Until: until},
		{Event: "resumed", TookMS: 1500},
		{Event: "pace", Rate: 2.5, Why: "503"},
		{Event: "breaker", State: "open", Why: "5 of 6 failed again", Until: until},
		{Event: "canary", State: "vendor 7", Why: "limit 5; of 3 verified orders 2 succeeded"},
		{Event: "canary", State: "vendor 7", Why: "no limit; of 5 verified orders 5 succeeded"},
		{Event: "canary", State: "vendor 8", Why: "too many failed"},
		{Event: "control", State: "paused", Why: "lunch"},
	} {
		got := lines[i+1]
		got.N, got.At, got.Who, got.Hash = 0, time.Time{}, "", ""
		require.Equal(t, want, got)
	}
}

// A new event type must be added to record, or to the events that other lines cover.
func TestRecordCoversEachEvent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	cfg := log.Wrap(resubmit.Config{})
	covered := []resubmit.Event{
		resubmit.OrderReread{}, resubmit.PushAccepted{}, resubmit.PushUnanswered{}, resubmit.PushRefused{},
	}
	recorded := []resubmit.Event{
		resubmit.RunStarted{}, resubmit.PushIntended{}, resubmit.GateClosed{}, resubmit.GateOpened{}, resubmit.RateChange{},
		resubmit.BreakerChange{},
		resubmit.CanaryChange{}, resubmit.RunStateChange{}, resubmit.OrderDone{},
		resubmit.RunFinished{Report: &resubmit.Report{}},
	}
	require.Len(t, eventTypes(t), len(covered)+len(recorded))
	for _, e := range append(covered, recorded...) {
		require.NoError(t, cfg.Audit(e))
	}
	require.NoError(t, log.Close())
	require.Len(t, linesOf(t, path), 2+len(recorded), "opened, the events, closed")
}

// eventTypes returns the types of the package that are events, from its source.
func eventTypes(t *testing.T) (types [][]byte) {
	t.Helper()
	source, err := os.ReadFile("../event.go")
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^func \((\w+)\) event\(\)`).FindAll(source, -1)
}

type probing struct{}

func (probing) Probe(context.Context) (connect.Probe, error) {
	return connect.Probe{Class: "down", Err: errors.New("HTTP 503")}, nil
}

func TestWrapRecordsProbes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	_, err := log.Wrap(resubmit.Config{Systems: resubmit.Systems{Prober: probing{}}}).Prober.Probe(t.Context())
	require.NoError(t, err)
	require.NoError(t, log.Close())
	line := linesOf(t, path)[1]
	require.Equal(t, "probe", line.Event)
	require.Equal(t, "down", line.State)
	require.Equal(t, "HTTP 503", line.Why)
}

type counting struct{ done, started, finished int }

func (c *counting) on(e resubmit.Event) {
	switch e.(type) {
	case resubmit.RunStarted:
		c.started++
	case resubmit.OrderDone:
		c.done++
	case resubmit.RunFinished:
		c.finished++
	}
}

func TestWrapKeepsOnEvent(t *testing.T) {
	t.Parallel()
	s, c := newShop(2), new(counting)
	log := open(t, filepath.Join(t.TempDir(), "audit"), audit.WithSyncInterval(0))
	cfg := s.config()
	cfg.OnEvent = c.on
	runner, err := resubmit.NewRunner(log.Wrap(cfg))
	require.NoError(t, err)
	_, err = runner.Apply(t.Context(), s.plan(t))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Equal(t, counting{done: 2, started: 1, finished: 1}, *c)
}

func TestVerifyFindsChangedLines(t *testing.T) {
	t.Parallel()
	path := written(t, 6)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	last := len(lines) - 1
	lines[last] = append(lines[last], '\n')
	head, err := audit.Verify(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 8, head.Lines)

	for i := range lines {
		n := strconv.Itoa(i + 1)
		t.Run("edited_line_"+n, func(t *testing.T) {
			for at := range len(lines[i]) - 1 {
				edited := slices.Clone(lines)
				edited[i] = slices.Clone(lines[i])
				edited[i][at] ^= 1
				h, err := audit.Verify(bytes.NewReader(bytes.Join(edited, nil)))
				require.Error(t, err, at)
				if edited[i][at] != '\n' {
					require.ErrorContains(t, err, "line "+n)
					require.Equal(t, i, h.Lines)
				}
			}
		})
		t.Run("removed_line_"+n, func(t *testing.T) {
			_, err := audit.Verify(bytes.NewReader(bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil)), head)
			require.Error(t, err)
			if i == last {
				require.ErrorContains(t, err, "has 7 lines, want at least 8: lines were cut off at the end")
			} else {
				require.ErrorContains(t, err, "line "+n)
			}
		})
		t.Run("repeated_line_"+n, func(t *testing.T) {
			_, err := audit.Verify(bytes.NewReader(bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil)))
			require.ErrorContains(t, err, "line "+strconv.Itoa(i+2)+" has the number "+n)
		})
		for k := range i {
			moved := slices.Clone(lines)
			moved[i], moved[k] = moved[k], moved[i]
			_, err := audit.Verify(bytes.NewReader(bytes.Join(moved, nil)))
			require.ErrorContains(t, err, "line "+strconv.Itoa(k+1))
		}
	}
}

func TestVerifyFindsCutOffLines(t *testing.T) {
	t.Parallel()
	path := written(t, 6)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	whole, err := audit.VerifyFile(path)
	require.NoError(t, err)
	for size := range text {
		cut := text[:size]
		_, err := audit.Verify(bytes.NewReader(cut), whole)
		require.Error(t, err, size)
		if size > 0 && cut[size-1] == '\n' {
			head, err := audit.Verify(bytes.NewReader(cut))
			require.NoError(t, err, "the rest is a valid log")
			require.False(t, head.Closed, "but not a closed one")
			require.NoError(t, os.WriteFile(path, cut, 0o600))
			_, err = audit.VerifyFile(path)
			require.ErrorContains(t, err, "lines were cut off at the end")
			_, err = audit.Open(path, ana)
			require.ErrorContains(t, err, "lines were cut off at the end")
		}
	}
	other, err := audit.Verify(bytes.NewReader(text), audit.Head{Lines: 2, Hash: strings.Repeat("0", 64)})
	require.ErrorContains(t, err, "line 2 does not match the head")
	require.Equal(t, 2, other.Lines)
}

func TestOpenRepairsTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path)
	require.NoError(t, log.Add(audit.Line{Event: audit.EventRead, Order: "id-1"}))
	head, err := os.ReadFile(path + ".head") // as after a crash: not of the latest lines
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	start := bytes.IndexByte(text, '\n') + 1
	for size := start; size < len(text); size += 7 {
		require.NoError(t, os.WriteFile(path, text[:size], 0o600))
		require.NoError(t, os.WriteFile(path+".head", head, 0o600))
		if size > start {
			_, err := audit.VerifyFile(path)
			require.ErrorContains(t, err, "line 2 is torn")
		}
		log := open(t, path)
		require.NoError(t, log.Close())
		_, err := audit.VerifyFile(path)
		require.NoError(t, err)
		lines := linesOf(t, path)
		if size == start {
			require.Equal(t, []string{"opened", "opened", "closed"}, events(lines))
			continue
		}
		require.Equal(t, []string{"opened", "opened", "recovered", "closed"}, events(lines))
		require.Contains(t, lines[2].Why, "the line after line 1 was torn by a crash; its "+strconv.Itoa(size-start)+
			" bytes were cut off")
		require.Contains(t, lines[2].Why, strconv.Quote(string(text[start:size])))
	}
}

func TestOpenRejectsOtherFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, says string }{
		"text":             {"hello\n", "not an audit log"},
		"text_without_end": {"hello", "not an audit log"},
		"plan":             {`{"kind":"cloudblue-resubmit-plan","version":1}` + "\n", "not an audit log"},
		"later_version":    {`{"n":1,"kind":"cloudblue-resubmit-audit","version":2}` + "\n", "version 2"},
		"no_hash": {`{"n":1,"kind":"cloudblue-resubmit-audit","version":1}` + "\n",
			"line 1 is not a log line or was edited"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "audit")
			require.NoError(t, os.WriteFile(path, []byte(tt.text), 0o600))
			_, err := audit.Open(path, ana)
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "\n")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, tt.text, string(after))
		})
	}
	_, err := audit.Open(t.TempDir(), ana)
	require.ErrorContains(t, err, "this is a directory")
	_, err = audit.Open(filepath.Join(t.TempDir(), "gone", "audit"), ana)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = audit.Open(filepath.Join(t.TempDir(), "audit"), ana, audit.WithSyncInterval(-1))
	require.ErrorContains(t, err, "negative")
}

func TestOpenMakesLogPrivate(t *testing.T) {
	t.Parallel()
	path := written(t, 1)
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, open(t, path).Close())
	for _, p := range []string{path, path + ".head"} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
}

func TestSecondWriterIsDetected(t *testing.T) {
	t.Parallel()
	path := written(t, 1)
	one := open(t, path)
	two := open(t, path) // writes its first line
	require.NoError(t, two.Add(audit.Line{Event: audit.EventRead}))
	require.ErrorContains(t, one.Add(audit.Line{Event: audit.EventRead}), "another process writes to it")
	require.Error(t, one.Close())
	require.NoError(t, two.Close())
	_, err := audit.VerifyFile(path)
	require.NoError(t, err, "the log is complete")
}

func TestWhoDefaultsToSystem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(path, audit.Who{})
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.ErrorIs(t, log.Add(audit.Line{}), os.ErrClosed)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Contains(t, linesOf(t, path)[0].Who, "@"+host+" audit.test")
}

func FuzzVerify(f *testing.F) {
	text, err := os.ReadFile(written(f, 3))
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("{\"n\":1,\"at\""))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, changed []byte) {
		head, err := audit.Verify(bytes.NewReader(changed))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		again, err := audit.Verify(bytes.NewReader(changed), head)
		require.NoError(t, err)
		require.Equal(t, head, again)
		require.Equal(t, head.Lines, bytes.Count(changed, []byte("\n")))
	})
}

func TestWrapKeepsSystemAndCapabilities(t *testing.T) {
	t.Parallel()
	s := newShop(1)
	log := open(t, filepath.Join(t.TempDir(), "audit"))
	defer func() { require.NoError(t, log.Close()) }()
	systems := log.Wrap(resubmit.Config{Systems: resubmit.SystemsOf(s, nil)}).Systems
	require.Equal(t, s.System(), systems.Name)
	require.Equal(t, s.Capabilities(), systems.Capabilities)
}
