//go:build unix

package state_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// nightlyConfig configures the nightly job for some systems, see resubmit.SystemsOf.
func nightlyConfig(systems resubmit.Systems, windows *maintenance.Calendar) state.Config {
	return state.Config{
		Systems:  systems,
		Calendar: func() *maintenance.Calendar { return windows },
		Plan:     resubmit.PlanConfig{Filter: filter.Everything()},
		Limits:   state.Limits{MaxOrders: 200}, // a plan beyond them waits for dir.Approve
	}
}

// nightly is the nightly job. Start it at any time, and again after any error or crash: no failure is sent twice.
func nightly(ctx context.Context, path string, cfg state.Config) error {
	dir, err := state.Open(ctx, path, cfg)
	if err != nil {
		return err
	}
	result, err := dir.Once(ctx, state.OnceOptions{WaitUntil: time.Now().Add(2 * time.Hour)})
	fmt.Println(result)
	for _, run := range result.Runs {
		if doc, err := dir.Document(run); err == nil {
			fmt.Print(doc.Text()) // report.html, .csv and .json in the directory of the run have more
		}
	}
	_, early := errors.AsType[*resubmit.TooEarlyError](err)
	if early || errors.Is(err, state.ErrApprovalRequired) || errors.Is(err, state.ErrPaused) {
		fmt.Println(err) // says who has to do what, and with which command
		return nil
	}
	return err
}

// ledgerShop is a shop whose orders are completed when their number is in a file, which other processes read too.
type ledgerShop struct {
	shop
	path string
	kill int // this process is killed after so many pushes; 0 never
}

func newLedgerShop(dir string, kill int) *ledgerShop {
	s := &ledgerShop{newShop(), filepath.Join(dir, "ledger"), kill}
	for _, o := range s.shop {
		o.PlacedAt = time.Now().Truncate(24 * time.Hour).Add(-2 * time.Hour) // the same in each process
		o.FailedAt = o.PlacedAt.Add(time.Minute)
	}
	return s
}

// pushed returns the orders that were pushed, in their order.
func (s *ledgerShop) pushed() []string {
	content, _ := os.ReadFile(s.path) // empty if there is none
	return strings.Fields(string(content))
}

func (s *ledgerShop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := s.shop.Order(ctx, id)
	if slices.Contains(s.pushed(), id) {
		o.Status, o.Failure, o.Transitions = commerce.StatusCompleted, commerce.Failure{}, nil
	}
	return o, err
}

func (s *ledgerShop) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, id := range []string{"1", "2", "3"} {
			if o, err := s.Order(ctx, id); err != nil || q.Match(o) && !yield(o, err) {
				return
			}
		}
	}
}

func (s *ledgerShop) Push(_ context.Context, id string, _ commerce.Status) error {
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, id)
	if err = errors.Join(err, f.Close()); err == nil && len(s.pushed()) == s.kill {
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	return err
}

// config returns that of the nightly job, with short delays.
func (s *ledgerShop) config(t interface{ Helper() }, dir string) (state.Config, error) {
	t.Helper()
	placed := s.shop["1"].PlacedAt
	windows, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "CHG-2041", Start: placed.Add(-time.Hour), End: placed.Add(time.Hour)},
	})
	systems := s.systems()
	systems.Lister, systems.Reader, systems.Pusher = s, s, s
	cfg := nightlyConfig(systems, windows)
	cfg.Plan.IgnoreConnect, cfg.Plan.RateLimit, cfg.Runner.RateLimit, cfg.Runner.Concurrency = true, -1, -1, 1
	cfg.Runner.Verify.InitialInterval = 50 * time.Millisecond
	cfg.Policy = resubmit.Policy{
		SettleDelay: 1500 * time.Millisecond, PushTimeout: 500 * time.Millisecond, MaxClaimAge: 500 * time.Millisecond,
	}
	cfg.Policy.Retry.Spacing = -1
	cfg.Anchor = state.FileAnchor(filepath.Join(dir, "anchor.json"))
	return cfg, err
}

type noHelper struct{}

func (noHelper) Helper() {}

const nightlyDir = "STATE_TEST_NIGHTLY"

func init() {
	state.OtherProgram = func() (code int, isOther bool) {
		dir := os.Getenv(nightlyDir)
		if dir == "" {
			return 0, false
		}
		cfg, err := newLedgerShop(dir, 2).config(noHelper{}, dir)
		if err == nil {
			err = nightly(context.Background(), filepath.Join(dir, "state"), cfg)
		}
		if err != nil {
			fmt.Println(err)
			return 1, true
		}
		return 0, true
	}
}

func TestNightlyJobIsKilledAndRepeated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), nightlyDir+"="+dir)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "it was killed")
	require.False(t, cmd.ProcessState.Exited(), string(out))
	shop := newLedgerShop(dir, 0)
	require.Len(t, shop.pushed(), 2)

	cfg, err := shop.config(t, dir)
	require.NoError(t, err)
	for range 2 { // the second time there is nothing left
		require.NoError(t, nightly(t.Context(), filepath.Join(dir, "state"), cfg))
		require.ElementsMatch(t, []string{"1", "2", "3"}, shop.pushed(), "each order once")
	}
	d := open(t, filepath.Join(dir, "state"), cfg)
	runs, err := d.Runs()
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, []state.End{state.EndFinished, state.EndNothing}, []state.End{runs[0].End, runs[1].End})
	require.Equal(t, 3, runs[0].Result.Completed)
}

// The README shows the job as it is tested here, and it is short.
func TestNightlyJobInTheREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("nightly_test.go")
	require.NoError(t, err)
	lines := 0
	for _, name := range []string{"nightlyConfig", "nightly"} {
		code := regexp.MustCompile(`(?ms)^func ` + name + `\(.*?^}$`).Find(source)
		require.NotEmpty(t, code)
		require.Contains(t, string(readme), string(code))
		lines += strings.Count(string(code), "\n") + 1
	}
	require.LessOrEqual(t, lines, 40)
}
