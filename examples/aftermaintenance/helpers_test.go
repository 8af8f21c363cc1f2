package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// call is one call of the program.
type call struct {
	env    map[string]string
	stdin  string
	client func(*program) // changes the program before it runs
}

// run runs the program with arguments.
func (c call) run(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	p := &program{Terminal: terminal.Terminal{Stdin: strings.NewReader(c.stdin), Stdout: &out,
		Stderr: terminal.NewScreen(&errs), Getenv: func(name string) string { return c.env[name] }}}
	if c.client != nil {
		c.client(p)
	}
	status = p.run(ctx, args)
	return status, out.String(), errs.String()
}

// do runs the program.
func do(t *testing.T, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return call{env: env}.run(t.Context(), args...)
}

// done runs the program, which must succeed, and returns what it printed.
func done(t *testing.T, env map[string]string, args ...string) (stdout, stderr string) {
	t.Helper()
	status, stdout, stderr := do(t, env, args...)
	require.Equal(t, exitDone, status, "%v\n%s\n%s", args, stdout, stderr)
	return stdout, stderr
}

// fastSettings are for systems that answer at once.
const fastSettings = `{"policy": {"settleDelay": "2s"},
	"run": {"rate": 10000, "concurrency": 4, "verifyAfter": "150ms"}}`

// configure writes the configuration file of a state directory.
func configure(t *testing.T, dir, settings string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(settings), 0o600))
}

// usedURLs are those of all test systems so far. The user's directory of the tests has an anchor for each, so the port of
// systems that were closed must not be used again.
var usedURLs sync.Map

// newWorld starts test systems.
func newWorld(t *testing.T, seed uint64) *sandbox.World {
	t.Helper()
	for {
		w, err := sandbox.New(t.Context(), "127.0.0.1:0", seed, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, w.Close()) })
		if _, used := usedURLs.LoadOrStore(w.CommerceURL, true); !used {
			return w
		}
	}
}

// live returns systems that the program takes for real ones, with a state directory, and the flags for them. The
// program
// is called as append(flags, command…).
func live(t *testing.T) (w *sandbox.World, env map[string]string, flags []string) {
	t.Helper()
	w = newWorld(t, 3)
	require.NoError(t, w.Play(t.Context(), 60))
	require.NoError(t, w.Live())
	dir := filepath.Join(t.TempDir(), "state")
	configure(t, dir, fastSettings)
	windows := filepath.Join(filepath.Dir(dir), "windows.json")
	require.NoError(t, os.WriteFile(windows, fmt.Appendf(nil, `{"windows":[{"id":"W","start":%q,"end":%q}]}`,
		w.Window.Start.Format("2006-01-02T15:04:05Z"), w.Window.End.Format("2006-01-02T15:04:05Z")), 0o600))
	env = map[string]string{"COMMERCE_TOKEN": w.CommerceToken, "CONNECT_API_KEY": w.ConnectKey, "TZ": "UTC"}
	return w, env, []string{"-commerce", w.CommerceURL, "-connect", w.ConnectURL, "-windows", windows, "-state", dir}
}

// with returns flags with more arguments.
func with(flags []string, more ...string) []string {
	return append(slices.Clip(slices.Clone(flags)), more...)
}

// stateOf returns the state directory of flags.
func stateOf(flags []string) string { return flags[slices.Index(flags, "-state")+1] }

// stateOnly returns the flags of a command that calls no system.
func stateOnly(flags []string, more ...string) []string {
	return append([]string{"-state", stateOf(flags)}, more...)
}

// inWindow selects the orders of the maintenance, because others need an approval.
func inWindow(w *sandbox.World) []string {
	return []string{"-from", w.Window.Start.Format(time.RFC3339), "-to", w.Window.End.Format(time.RFC3339)}
}

// inMaintenance returns the orders that inWindow selects and that failed because of the maintenance.
func inMaintenance(w *sandbox.World) map[string]bool {
	numbers := transient(w)
	for _, o := range w.Commerce.Orders() {
		if o.PlacedAt.Before(w.Window.Start.Truncate(time.Second)) || !o.PlacedAt.Before(w.Window.End.Truncate(time.Second)) {
			delete(numbers, o.Number)
		}
	}
	return numbers
}

// transient returns the orders that failed because of the maintenance.
func transient(w *sandbox.World) map[string]bool {
	numbers := make(map[string]bool)
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			numbers[o.Number] = true
		}
	}
	return numbers
}

// decode decodes the document that -json prints.
func decode(t *testing.T, stdout string) *report.Document {
	t.Helper()
	d, err := report.Read(strings.NewReader(stdout))
	require.NoError(t, err, stdout)
	return d
}

// decodeStatus decodes what status -json prints.
func decodeStatus(t *testing.T, stdout string) (s statusDocument) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(stdout), &s), stdout)
	return s
}

// errorLine returns the error of the program, which is one line.
func errorLine(t *testing.T, stderr string) string {
	t.Helper()
	_, line, found := strings.Cut(stderr, "aftermaintenance: ")
	for found && strings.HasPrefix(line, "warning: ") {
		_, line, found = strings.Cut(line, "aftermaintenance: ")
	}
	require.True(t, found, stderr)
	line, rest, _ := strings.Cut(line, "\n")
	for after := range strings.Lines(rest) {
		require.Regexp(t, "^(Next: |Run .* -help to see)", after)
	}
	return line
}

// requireRejected runs the program and checks that it ends with a status and one line that says why.
func requireRejected(t *testing.T, env map[string]string, args []string, wantStatus int, says string) {
	t.Helper()
	status, stdout, stderr := do(t, env, args...)
	require.Equal(t, wantStatus, status, "%v\n%s", args, stderr)
	require.Empty(t, stdout)
	require.Contains(t, errorLine(t, stderr), says)
	require.NotContains(t, stderr, "s3cret")
}

// requireCompleted checks that each of the orders was completed by one push.
func requireCompleted(t *testing.T, w *sandbox.World, orders map[string]bool) {
	t.Helper()
	require.Empty(t, w.Violations())
	for _, o := range w.Commerce.Orders() {
		if orders[o.Number] {
			require.Equal(t, "CP", string(o.Status), o.Number)
		}
	}
}

// settled is longer than settleDelay of fastSettings, and than Commerce of the test systems retries an order that
// failed.
const settled = 2100 * time.Millisecond

// failedForMaintenance places orders for a product while Connect is down, and returns their numbers once they have
// failed and settled.
func failedForMaintenance(t *testing.T, w *sandbox.World, product string, n int) (numbers []string) {
	t.Helper()
	w.Connect.SetMaintenance(true)
	orders, err := w.Place(n, commercetest.OrderSpec{Type: commerce.TypeSales, Product: product})
	require.NoError(t, err)
	for _, placed := range orders {
		require.Eventually(t, func() bool {
			o, _ := w.Commerce.Order(placed.ID)
			return o.Status == commerce.StatusProvisioningFailed && time.Since(o.FailedAt) > settled
		}, time.Minute, 10*time.Millisecond)
		numbers = append(numbers, placed.Number)
	}
	w.Connect.SetMaintenance(false)
	return numbers
}
