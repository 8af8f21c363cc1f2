package secrets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	resubmitreport "github.com/cloudblue-go/cloudblue/resubmit/report"
)

// recorder records the events and the journal of a run.
type recorder struct {
	resubmit.MemoryJournal
	mu   sync.Mutex
	text strings.Builder
}

func (n *recorder) note(value any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text.WriteString(written(value))
}

func (n *recorder) Put(
	ctx context.Context, d resubmit.Durability, records ...protocol.Record,
) (uint64, error) {
	n.note(records)
	return n.MemoryJournal.Put(ctx, d, records...)
}

func (n *recorder) on(e resubmit.Event) {
	n.note(e)
	if e, ok := e.(resubmit.PushUnanswered); ok {
		n.note(writtenError(e.Err))
	}
}

func TestRunLeavesNoSecret(t *testing.T) {
	t.Parallel()
	all := mischiefs()
	for name, l := range logins() {
		if l.strange {
			continue // there is nothing to run on
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hits := 0
			names := []string{
				"200 and a page", "200 and a fault", "401 and JSON", "403 and text", "409 and JSON", "429 and text", "500 and JSON",
				"503 and a page", "a body that breaks off", "an answer that is no HTTP",
			}
			for _, what := range some(names) {
				how := all[what]
				require.NotNil(t, how, what)
				for at, where := range places() {
					synctest.Test(t, func(t *testing.T) { hits += liveThrough(t, l, what+", at "+at, how, where) })
				}
			}
			require.Greater(t, hits, 50*len(some(names))/len(names))
		})
	}
}

// liveThrough plans and applies while Commerce and Connect misbehave in one way, and
// looks through all that is left. The list itself is well, or there is no plan.
func liveThrough(t *testing.T, l login, what string, how mischief, where func(*http.Request, string) bool) (hits int) {
	r := newRig(t, l)
	vault := r.secrets
	broken := &hostile{
		next: connecttest.New(connecttest.Config{Key: connectKey}).Transport(), secrets: vault, how: how,
		where: func(*http.Request, string) bool { return true },
	}
	requests, err := connect.New("https://connect.test/public/v1", connect.APIKey(connectKey),
		connect.WithLogger(r.logger),
		connect.WithHTTPClient(&http.Client{Transport: broken}), connect.WithMaxTries(1))
	require.NoError(t, err)

	systems := resubmit.SystemsOf(r.shop, r.shop)
	policy := resubmit.Policy{SettleDelay: 2 * time.Second, Targets: protocol.DefaultTargets()}
	notes := &recorder{}
	systems.Requests = requests
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	cfg := resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systems, Policy: policy, Journal: notes, Filter: filter.Everything(), Override: r.ids, Logger: r.logger,
	}
	<-time.After(policy.SettleDelay)
	// One plan is made while everything misbehaves, and only looked through …
	var listed atomic.Bool
	r.server.how = how
	r.server.where = func(req *http.Request, body string) bool {
		if !isToken(req) && listed.CompareAndSwap(false, true) {
			return false
		}
		return where(req, body)
	}
	if _, err := resubmit.WritePlanFile(t.Context(), cfg, path); err != nil {
		require.Empty(t, vault.within(writtenError(err)), what)
	} else {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Empty(t, vault.within(string(text)), "the plan: %s", what)
	}
	// … and another one is applied, which was made while all was well.
	r.server.where, cfg.IgnoreConnect = nil, true
	_, err = resubmit.WritePlanFile(t.Context(), cfg, path)
	require.NoError(t, err)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, plan.Close()) }()
	r.server.where = where
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Policy: policy, Journal: notes, OnEvent: notes.on,
		Logger:    r.logger,
		RateLimit: -1, Guard: -1, MaxDeferrals: 1,
		Verify: resubmit.VerifyConfig{InitialInterval: time.Second, MaxInterval: 2 * time.Second, Timeout: 5 * time.Second},
	})
	require.NoError(t, err)
	report, err := runner.Apply(t.Context(), plan)
	require.Empty(t, vault.within(writtenError(err)))
	require.NotNil(t, report, "%v", err)
	var printed bytes.Buffer
	doc, err := resubmitreport.New(resubmitreport.Input{Plan: plan, Report: report})
	require.NoError(t, err)
	for _, write := range []func(io.Writer) error{doc.WriteJSON, doc.WriteCSV, doc.WriteHTML} {
		require.NoError(t, write(&printed))
	}
	items, err := json.Marshal(report.Items)
	require.NoError(t, err)
	for kind, text := range map[string]string{
		"the report":                 printed.String() + doc.Text() + string(items) + written(report),
		"the status":                 written(runner.Status()),
		"the journal and the events": notes.text.String(), "the logs": r.log.String(),
		"the runner": fmt.Sprintf("%+v %#v", runner, runner),
	} {
		require.Empty(t, vault.within(text), "%s: %s", kind, what)
	}
	require.Equal(t, plan.Counts().Resubmit, report.Result.Total())
	return int(r.server.hits.Load())
}
