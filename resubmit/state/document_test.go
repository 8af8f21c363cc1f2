package state_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func document(t *testing.T, d *state.Dir) *report.Document {
	t.Helper()
	status, err := d.Status()
	require.NoError(t, err)
	doc, err := d.Document(status.Run)
	require.NoError(t, err)
	return doc
}

func outcomes(doc *report.Document) map[string]protocol.Outcome {
	all := make(map[string]protocol.Outcome)
	for _, i := range doc.Items {
		all[i.Number] = i.Outcome
	}
	return all
}

func TestDocument(t *testing.T) {
	t.Parallel()
	t.Run("of a run, before, while and after its plan is applied", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, 2*time.Hour)
			seen := maintenance.Window{ID: "seen", Source: maintenance.SourceObserved, Start: time.Now().Add(-3 * time.Hour)}
			seen.End = seen.Start.Add(time.Hour)
			cfg.Observed = func() []maintenance.Window { return []maintenance.Window{seen} }
			cfg.Location = time.FixedZone("CET", 3600)
			cfg.Command = "am -state DIR"
			cfg.Runner.Concurrency, cfg.Limits.MaxOrders = 1, 1
			d := open(t, dir, cfg)
			_, err := d.Once(t.Context(), state.OnceOptions{})
			require.ErrorIs(t, err, state.ErrApprovalRequired)
			doc := document(t, d)
			require.Equal(t, report.StatePlanned, doc.State)
			require.Equal(t, 3, doc.Open)
			require.Equal(t, "CET", doc.Zone)

			cfg.Limits.MaxOrders = 0
			var during *report.Document
			s.onPush = func(_ context.Context, id string) error {
				if id == "2" {
					require.Equal(t, protocol.Progressing, outcomes(document(t, open(t, dir, cfg)))["SO000001"], "not verified yet")
					time.Sleep(time.Minute)
					during = document(t, open(t, dir, cfg))
				}
				return nil
			}
			d = open(t, dir, cfg)
			_, err = d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, report.StateRunning, during.State)
			require.Equal(t, map[string]protocol.Outcome{
				"SO000001": protocol.Completed, "SO000002": protocol.Unknown, "SO000003": "",
			}, outcomes(during), "the second push is under way")

			s.onPush = func(context.Context, string) error { t.Error("it calls no system"); return nil }
			d = open(t, dir, cfg)
			doc = document(t, d)
			require.Equal(t, report.StateFinished, doc.State)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, doc.Outcomes)
			require.Contains(t, doc.Digests.Audit, "sha256:")
			require.NotNil(t, doc.Windows[0].Observed)
			status, err := d.Status()
			require.NoError(t, err)
			for file, want := range map[string]string{
				"report.html": "<html", "report.csv": "SO000002", "report.json": `"kind"`,
			} {
				content, err := os.ReadFile(d.Path(status.Run, file))
				require.NoError(t, err)
				require.Contains(t, string(content), want)
				info, err := os.Stat(d.Path(status.Run, file))
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			}
			require.NoError(t, os.WriteFile(d.Path(status.Run, "report.json"), []byte("damaged"), 0o600))
			require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, document(t, d).Outcomes, "from the journal")
			status.Run.AppliedAt = time.Time{} // an older version wrote it
			doc, err = d.Document(status.Run)
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, doc.Outcomes)
		})
	})
	t.Run("of a run that ended early, and was continued and killed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, 2*time.Hour)
			cfg.Runner.Concurrency = 1
			ctx, stop := context.WithCancel(t.Context())
			s.onPush = func(_ context.Context, id string) error {
				if id == "2" {
					stop()
				}
				return nil
			}
			d := open(t, dir, cfg)
			_, err := d.Once(ctx, state.OnceOptions{})
			require.ErrorIs(t, err, context.Canceled)
			doc := document(t, d)
			require.Equal(t, report.StateStopped, doc.State)
			require.Equal(t, protocol.NotStarted, outcomes(doc)["SO000003"], "the files have what the journal has not")
			require.NotEmpty(t, doc.Error)
			status, err := d.Status()
			require.NoError(t, err)
			for _, file := range []string{"report.html", "report.csv", "report.json"} {
				require.FileExists(t, d.Path(status.Run, file))
			}

			time.Sleep(time.Second)
			var during *report.Document
			s.onPush = func(context.Context, string) error {
				time.Sleep(time.Minute)
				during = document(t, open(t, dir, cfg))
				return nil
			}
			_, err = d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, report.StateRunning, during.State, "not the report of the first attempt")
			require.Equal(t, protocol.Completed, outcomes(during)["SO000001"])
			require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, document(t, d).Outcomes)
		})
	})
	t.Run("has no CSV without items", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, dir, cfg := newBusyShop(t, 2*time.Hour)
			cfg.Runner.OmitItems = true
			d := open(t, dir, cfg)
			_, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			doc := document(t, d)
			require.Equal(t, 3, doc.Outcomes.Completed)
			require.Empty(t, doc.Items)
			status, err := d.Status()
			require.NoError(t, err)
			require.NoFileExists(t, d.Path(status.Run, "report.csv"))
			require.True(t, strings.HasPrefix(doc.Digests.Plan, "sha256:"))
		})
	})
}

func TestReportThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for want, observed := range map[string]func() []maintenance.Window{
		"Config.Observed: a callback panicked: nobody knows": func() []maintenance.Window { panic("nobody knows") },
		"write the report: ": func() []maintenance.Window {
			return []maintenance.Window{{ID: "ends before its start", Start: time.Now(), End: time.Now().Add(-time.Hour)}}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, 2*time.Hour)
			cfg.Observed = observed
			d := open(t, dir, cfg)
			r, err := d.Once(t.Context(), state.OnceOptions{})
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, state.EndFinished, r.Runs[0].End, "the run is over")
			require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, r.Runs[0].Result)
			_, err = d.Document(r.Runs[0])
			require.Error(t, err)
			r, err = d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, state.EndNothing, r.Runs[0].End)
			require.Len(t, s.pushes, 3)
		})
	}
}
