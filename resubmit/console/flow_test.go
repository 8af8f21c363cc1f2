package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func TestFromFailedOrdersToAVerifiedRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		require.Contains(t, s.page(""), "The failed orders were not read yet.")
		require.Equal(t, "./", s.see("read"))
		require.Contains(t, s.page(""), "<strong>20 orders</strong> of <strong>20 customers</strong> failed")
		run := s.plan()
		require.Equal(t, "mrossi", run.PlannedBy)
		require.Contains(t, s.page("plan"), "Review and approve 16 orders")
		body := s.page("approve?plan=" + url.QueryEscape(run.Digest))
		require.Contains(t, body, "Commerce will send <strong>16 orders</strong> of <strong>16 customers</strong> to "+
			"<strong>2 vendors</strong>")
		require.Contains(t, body, "This cannot be undone.")
		require.Contains(t, body, ">Resubmit 16 orders</button>")
		require.Equal(t, "run?run="+run.ID, s.see("approve", "plan", run.Digest))
		s.wait()
		require.Equal(t, 16, s.shop.sent())
		require.Equal(t, 16, s.run().Result.Completed)
		body = s.page("run")
		require.Contains(t, body, "Ended</strong>")
		require.Contains(t, body, `<span class="n" data-text="n-completed">16</span> verified`)
		require.Contains(t, body, "mrossi (approve) from 10.0.0.7:4711", "the audit log has the approval")
		require.Contains(t, s.page("history"), "<td>mrossi</td>")
	})
}

func TestApprovalsOfWhatWasNotShownAreRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		old := s.plan()
		run := s.plan()
		require.NotEqual(t, old.Digest, run.Digest)
		for name, form := range map[string][]string{
			"approve a replaced plan":  {"approve", "plan", old.Digest},
			"discard a replaced plan":  {"discard", "plan", old.Digest},
			"continue a replaced plan": {"continue", "plan", old.Digest},
			"revoke a replaced plan":   {"revoke", "plan", old.Digest},
			"pause a replaced plan":    {"control", "run", old.Digest, "action", "pause"},
			"cancel a replaced plan":   {"control", "run", old.Digest, "action", "cancel"},
		} {
			status, body := read(t, s.post(form[0], form[1:]...))
			require.Equal(t, http.StatusConflict, status, name)
			require.Contains(t, body, `role="alert"`, name)
		}
		for name, form := range map[string][]string{
			"approve":  {"approve", "plan", old.Digest},
			"discard":  {"discard", "plan", old.Digest},
			"revoke":   {"revoke", "plan", old.Digest},
			"continue": {"continue", "plan", old.Digest},
			"control":  {"control", "action", "pause"},
		} {
			status, body := read(t, s.post(form[0], append(form[1:], "run", run.ID)...))
			require.Equal(t, http.StatusConflict, status, name)
			require.Contains(t, body, "shown for another plan", name)
		}
		status, body := s.get("approve?plan=" + url.QueryEscape(old.Digest))
		require.Equal(t, http.StatusConflict, status)
		require.Contains(t, body, "Nothing was sent.")
		require.Contains(t, body, "see what has changed")
		for _, form := range [][]string{{"approve"}, {"control", "action", "pause"}, {"control", "run", run.Digest}} {
			status, _ := read(t, s.post(form[0], form[1:]...))
			require.Equal(t, http.StatusBadRequest, status, form)
		}
		require.Zero(t, s.shop.sent())
		require.Equal(t, run, s.run())
	})
}

func TestTheSameApprovalTwiceIsOneRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		first := s.see("approve", "plan", run.Digest)
		require.Equal(t, first, s.see("approve", "plan", run.Digest), "while it is applied")
		s.wait()
		require.Equal(t, first, s.see("approve", "plan", run.Digest), "when it has ended")
		require.Equal(t, run.Counts.Resubmit, strings.Count(s.page("plan?run="+run.ID), "Result: verified."))
		for id, n := range s.shop.pushes {
			require.Equal(t, 1, n, id)
		}
		runs, err := s.dir.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 1)
	})
}

func TestTheNumberMustBeTypedForManyOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 200)
		run := s.plan()
		require.Contains(t, s.page("approve"), "Type 160 to confirm")
		for _, typed := range []string{"", "16", "yes", "200"} {
			status, body := read(t, s.post("approve", "plan", run.Digest, "typed", typed))
			require.Equal(t, http.StatusUnprocessableEntity, status)
			require.Contains(t, body, "Type 160 to confirm. Nothing was sent.")
			require.Contains(t, body, `value="`+typed+`"`, "the input is kept")
		}
		require.Zero(t, s.shop.sent())
		s.see("approve", "plan", run.Digest, "typed", " 160 ")
		s.wait()
		require.Equal(t, 160, s.shop.sent())
	})
}

func TestPauseResumeLimitAndCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 40)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(3 * time.Second)
		require.Contains(t, s.page("run"), "Sending")
		require.Contains(t, s.page("run"), "nightly, process")

		s.see("control", "run", run.Digest, "action", "pause", "why", "vendor asked")
		time.Sleep(3 * time.Second)
		body := s.page("run")
		require.Contains(t, body, "Paused")
		require.Contains(t, body, ">Resume</button>")

		status, body := read(t, s.post("control", "run", run.Digest, "action", "rate", "rate", "5000"))
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, body, "up to 1000")
		s.see("control", "run", run.Digest, "action", "rate", "rate", "250")
		s.see("control", "run", run.Digest, "action", "resume")
		time.Sleep(3 * time.Second)
		require.Contains(t, s.page("run"), "at most 250 calls/s")

		require.Contains(t, s.page("confirm?action=cancel"), "Sent orders cannot be called back.")
		require.Contains(t, s.page("confirm?action=drain"), "Send nothing more")
		s.see("control", "run", run.Digest, "action", "drain")
		time.Sleep(3 * time.Second)
		close(s.shop.hold)
		s.wait()
		require.Equal(t, state.EndDrained, s.run().End)
		require.Contains(t, s.page("run"), "drained")
		require.Contains(t, s.page("run"), "pause, by mrossi (control) from 10.0.0.7:4711, vendor asked")
	})
}

func TestAResumedRunIsContinuedByThisProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		s.see("control", "run", run.Digest, "action", "pause")
		time.Sleep(time.Second)
		s.see("approve", "plan", run.Digest)
		time.Sleep(time.Second)
		require.Zero(t, s.shop.sent(), "it is paused")
		s.see("control", "run", run.Digest, "action", "resume")
		s.wait()
		require.Equal(t, 16, s.shop.sent())
	})
}

func TestWithoutApplyAnotherProcessApplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.mount(func(c *console.Config) { c.Apply = nil })
		run := s.plan()
		require.Contains(t, s.page("approve"), "The next run of the nightly job applies it.")
		s.see("approve", "plan", run.Digest)
		time.Sleep(time.Minute)
		require.Zero(t, s.shop.sent())
		body := s.page("run")
		require.Contains(t, body, "Approved")
		require.NotContains(t, body, ">Continue</button>")
		_, err := s.dir.Once(t.Context(), state.OnceOptions{Continue: true})
		require.NoError(t, err)
		require.Equal(t, 16, s.shop.sent())
	})
}

func TestAnErrorOfApplyingIsShownAndTheRunCanBeContinued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		fail := true
		s.mount(func(c *console.Config) {
			apply := c.Apply
			c.Apply = func(ctx context.Context) error {
				if fail {
					return errors.New("the disk is full")
				}
				return apply(ctx)
			}
		})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(time.Second)
		body := s.page("run")
		require.Contains(t, body, "the disk is full")
		require.Contains(t, body, ">Continue</button>")
		fail = false
		s.see("continue", "plan", run.Digest)
		s.wait()
		require.Equal(t, 16, s.shop.sent())
	})
}

func TestAnApprovalCanBeWithdrawnAndAPlanDiscarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		apply := make(chan struct{})
		s.mount(func(c *console.Config) {
			once := c.Apply
			c.Apply = func(ctx context.Context) error { <-apply; return once(ctx) }
		})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		require.Contains(t, s.page("plan"), "Approved by mrossi")
		s.see("revoke", "plan", run.Digest, "why", "too early")
		require.Contains(t, s.page("plan"), "Review and approve")
		close(apply)
		time.Sleep(time.Second)
		require.Zero(t, s.shop.sent())
		require.Equal(t, "plan", s.see("discard", "plan", run.Digest))
		require.Equal(t, state.EndCancelled, s.run().End)
		require.Contains(t, s.page("plan"), "ended without being applied: cancelled")
	})
}

func TestSelectionsBecomeFiltersOfThePlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.see("read")
		digest := strings.Split(strings.Split(s.page(""), `name="read" value="`)[1], `"`)[0]
		for name, c := range map[string]struct {
			form   []string
			orders int
		}{
			"a group":            {[]string{"group", "0", "read", digest}, 16},
			"two groups":         {[]string{"group", "1", "group", "2", "read", digest}, 4},
			"a vendor":           {[]string{"vendor", "1000101"}, 10},
			"a group of vendors": {[]string{"group", "0", "read", digest, "vendor", "1000101"}, 10},
			"a type":             {[]string{"type", "SO"}, 20},
			"a filter":           {[]string{"q", "ilike(reason,*customer*)"}, 2},
			"numbers":            {[]string{"numbers", "SO000001, SO000002\nid-3"}, 3},
			"all":                {[]string{"all", "1", "vendor", "1"}, 20},
		} {
			s.see("plan", c.form...)
			require.Equal(t, c.orders, s.run().Counts.Total, name)
		}
		last := s.run()
		for name, c := range map[string]struct {
			form   []string
			status int
			text   string
		}{
			"nothing":          {nil, http.StatusUnprocessableEntity, "Nothing is selected."},
			"a wrong filter":   {[]string{"q", "eq(color,red)"}, http.StatusUnprocessableEntity, "unknown property"},
			"no such group":    {[]string{"group", "99", "read", digest}, http.StatusUnprocessableEntity, "no such group"},
			"groups of before": {[]string{"group", "0", "read", "sha256:0"}, http.StatusConflict, "read again"},
		} {
			status, body := read(t, s.post("plan", c.form...))
			require.Equal(t, c.status, status, name)
			require.Contains(t, body, c.text, name)
		}
		require.Equal(t, last, s.run())
	})
}

func TestChangesOfAPlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		status, _ := s.get("changes?run=" + run.ID)
		require.Equal(t, http.StatusNotFound, status)
		s.shop.orders = s.shop.orders[1:]
		s.plan()
		body := s.page("changes")
		require.Contains(t, body, "0 new, 1 gone, 0 changed, 19 the same.")
		require.Contains(t, body, ">SO000001</a>")
		s.see("plan", "vendor", "1")
		require.Contains(t, s.page("changes"), "different filters")
	})
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		res := s.serve(s.request(http.MethodGet, "plan.csv?tab=hold", nil))
		_, body := read(t, res)
		require.Equal(t, `attachment; filename="plan-`+run.Digest[7:14]+`.csv"`, res.Header.Get("Content-Disposition"))
		require.Equal(t, 3, strings.Count(body, "\r\n"), body)
		s.see("approve", "plan", run.Digest)
		s.wait()
		for _, format := range []string{"html", "csv", "json"} {
			res := s.serve(s.request(http.MethodGet, "report?format="+format, nil))
			status, body := read(t, res)
			require.Equal(t, http.StatusOK, status)
			require.Contains(t, res.Header.Get("Content-Disposition"), "attachment; filename=")
			require.Contains(t, body, "SO000001")
		}
		require.Equal(t, 2, strings.Count(s.page("history.csv"), "\r\n"))
	})
}

func TestHistoryOfSomeDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		first := s.plan().ID
		time.Sleep(48 * time.Hour) // in a bubble
		second := s.plan().ID
		day := s.run().PlannedAt.Format(time.DateOnly)
		before := s.run().PlannedAt.AddDate(0, 0, -1).Format(time.DateOnly)
		for filter, want := range map[string][]string{
			"": {second, first}, "?first=" + day: {second}, "?last=" + before: {first}, "?last=" + day: {second, first},
			"?first=" + before + "&last=" + before: nil,
		} {
			rows := strings.Split(strings.TrimSpace(s.page("history.csv"+filter)), "\r\n")[1:]
			require.Len(t, rows, len(want), filter)
			for i, id := range want {
				require.Contains(t, rows[i], id, filter)
			}
			require.Equal(t, len(want), strings.Count(s.page("history"+filter), `<th scope="row">`), filter)
		}
		require.Contains(t, s.page("history?first="+before+"&last="+before), "No run was planned then.")
		status, body := s.get("history?last=30.11.2026")
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, body, "the last day is &#34;30.11.2026&#34;; give it as 2026-11-30")
	})
}

func TestOneTaskAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(time.Second)
		for _, action := range []string{"read", "plan"} {
			status, body := read(t, s.post(action, "all", "1"))
			require.Equal(t, http.StatusConflict, status, action)
			require.Contains(t, body, "Applying the plan since", action)
		}
		s.console.Close() // interrupts the run
		require.False(t, s.run().Ended())
		status, _ := read(t, s.post("read"))
		require.Equal(t, http.StatusConflict, status, "it is closed")
		close(s.shop.hold)
		s.mount()
		s.see("continue", "plan", run.Digest)
		s.wait()
		require.Equal(t, state.EndFinished, s.run().End)
		require.Equal(t, 14, s.run().Result.Completed, "all but those that were on the wire: %s", s.run())
	})
}

// readSlowly starts to read the failed orders, which ends when the function is called.
func (s *site) readSlowly() (end func()) {
	s.shop.mu.Lock()
	defer s.shop.mu.Unlock()
	lists := make(chan struct{})
	s.shop.lists = lists
	go s.post("read")
	return func() { close(lists) }
}

func TestWhatIsOrderedDuringATaskIsDoneAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		end := s.readSlowly()
		time.Sleep(time.Second)
		s.see("approve", "plan", run.Digest)
		time.Sleep(time.Minute)
		require.Zero(t, s.shop.sent())
		require.Contains(t, s.page("task?id=2"), "Reading the failed orders")
		end()
		s.wait()
		require.Equal(t, 16, s.shop.sent())
		require.Contains(t, s.see("plan", "all", "1"), "plan?run=", "nothing waits any more")
	})
}

func TestACommandDuringATaskIsObeyedAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		s.see("control", "run", run.Digest, "action", "pause")
		s.see("approve", "plan", run.Digest)
		end := s.readSlowly()
		time.Sleep(time.Second)
		s.see("control", "run", run.Digest, "action", "resume")
		time.Sleep(time.Minute)
		require.Zero(t, s.shop.sent())
		end()
		s.wait()
		require.Equal(t, 16, s.shop.sent())
	})
}

func TestAPlanThatIsDiscardedDuringATask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		end := s.readSlowly()
		time.Sleep(time.Second)
		require.Equal(t, "plan", s.see("discard", "plan", run.Digest))
		require.Contains(t, s.page("plan"), "not obeyed yet: cancel")
		end()
		time.Sleep(time.Minute)
		require.Equal(t, state.EndCancelled, s.run().End)
		require.NotContains(t, s.page("plan"), "not obeyed yet")
	})
}

func TestAnInterruptedRunIsNotDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(3 * time.Second)
		s.console.Close()
		s.mount()
		require.Equal(t, 2, s.run().Result.Unknown)
		body := s.page("run")
		require.Contains(t, body, `<span data-text="done">0</span> of 16 orders done (<span data-text="percent">0 %</span>)`)
		require.Contains(t, body, `data-text="n-waiting">14</span> not begun`)
		require.Contains(t, body, `data-text="n-unknown">2</span>`)
		require.Contains(t, body, `data-text="n-verifying">0</span>`)
		for _, button := range []string{"Drain", ">Pause<", "Set the limit"} {
			require.NotContains(t, body, button)
		}
		require.Contains(t, body, ">Continue</button>")
		require.Contains(t, body, ">Cancel …</a>")
		status, body := s.get("confirm?action=drain")
		require.Equal(t, http.StatusConflict, status)
		require.Contains(t, body, "draining would end it before what was sent is verified")
		status, _ = read(t, s.post("control", "run", run.Digest, "action", "drain"))
		require.Equal(t, http.StatusConflict, status)
		require.False(t, s.run().Ended())
		require.Contains(t, s.page("confirm?action=cancel"),
			"0 orders are verified. 2 were sent and will still be looked at by a later run. 14 stay failed")
		s.see("control", "run", run.Digest, "action", "cancel")
		s.wait()
		require.Contains(t, s.page("run"), `data-text="n-waiting">14</span> not begun`)
	})
}

func TestTotalsWithoutACurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3)
		s.shop.orders[0].Total.Currency = ""
		s.shop.orders[1].Total = commerce.Money{}
		s.plan()
		body := s.page("approve")
		require.Contains(t, body, `<span class="money">12.50 without a currency</span>`)
		require.Contains(t, body, `<span class="money">12.52 USD</span> and 1 order without a total`)
		body = s.page("plan.csv")
		require.Contains(t, body, `"12.50",""`, "with the digits that the server sent")
		require.Contains(t, body, `"12.52","USD"`)
	})
}

func TestAPlanOfTheNightlyJobNeedsNoApproval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(20)
		s := &site{t: t, shop: shop, roles: []console.Role{console.View, console.Control}}
		s.dir = shop.open(t, func(c *state.Config) { c.Limits.MaxOrders = 1 })
		s.mount()
		_, err := s.dir.Once(t.Context(), state.OnceOptions{})
		require.ErrorIs(t, err, state.ErrApprovalRequired)
		for _, page := range []string{"plan", "run", "history"} {
			body := s.page(page)
			require.Contains(t, body, "it may be sent without an approval, within the limits", page)
			require.NotContains(t, body, "before a person approves", page)
		}
		run := s.run()
		s.see("control", "run", run.Digest, "action", "pause")
		require.NotContains(t, s.page("run"), ">Resume</button>")
		for _, form := range [][]string{
			{"control", "run", run.Digest, "action", "resume"}, {"continue", "plan", run.Digest},
		} {
			status, body := read(t, s.post(form[0], form[1:]...))
			require.Equal(t, http.StatusForbidden, status, form)
			require.Contains(t, body, "this begins the plan: the role approve is missing", form)
		}
		s.setRoles(console.Roles()...)
		require.Contains(t, s.page("run"), ">Resume</button>")
		s.see("control", "run", run.Digest, "action", "resume")
		time.Sleep(time.Minute)
		require.Zero(t, shop.sent(), "it is beyond the limits")
		s.plan()
		require.Contains(t, s.page("plan"), "nothing is sent before a person approves the plan")
	})
}

func TestAPlanThatReplacesTheApprovedOneIsNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		var applied int
		s.mount(func(c *console.Config) { c.Apply = func(context.Context) error { applied++; return nil } })
		run := s.plan()
		end := s.readSlowly()
		time.Sleep(time.Second)
		s.see("approve", "plan", run.Digest)
		s.shop.mu.Lock()
		s.shop.lists = nil // for the other process
		s.shop.mu.Unlock()
		_, err := s.dir.Plan(t.Context(), nil, state.PlanOptions{By: "another process"})
		require.NoError(t, err)
		end()
		time.Sleep(time.Minute)
		require.Zero(t, applied)
		require.Contains(t, s.page("run"), "was replaced before it was applied")
	})
}

// A run was interrupted, continued and killed, and then cancelled: report and run.json are those of the interruption.
func TestTheResultOfAKilledRunIsThatOfTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(3 * time.Second)
		s.console.Close()
		old := make(map[string][]byte)
		for _, name := range []string{"report.json", "report.csv", "report.html"} {
			content, err := os.ReadFile(s.dir.Path(run, name))
			require.NoError(t, err)
			old[name] = content
		}
		time.Sleep(time.Second)
		close(s.shop.hold)
		s.mount()
		s.see("continue", "plan", run.Digest)
		s.wait()
		require.Equal(t, 14, s.run().Result.Completed)
		for name, content := range old {
			require.NoError(t, os.WriteFile(s.dir.Path(run, name), content, 0o600))
		}
		s.editRun(run, map[string]any{"result": resubmit.OutcomeCounts{}, "end": state.EndCancelled})
		s.mount()
		require.Contains(t, s.page("run"), `data-text="n-completed">14</span> verified`)
		require.Contains(t, s.page("run"), "ended: 14 of 16 orders verified")
		require.Contains(t, s.page("history"), `<td class="num">16</td><td class="num">14</td>`)
		require.Contains(t, s.page("history.csv"), `"16","14","0","2"`)
		require.Equal(t, 14, strings.Count(s.page("report?format=csv"), `"completed"`))
		require.Contains(t, s.page("report?format=json"), `"completed":14`)
	})
}

// editRun changes fields of run.json.
func (s *site) editRun(run *state.Run, fields map[string]any) {
	s.t.Helper()
	content, err := os.ReadFile(s.dir.Path(run, "run.json"))
	require.NoError(s.t, err)
	var all map[string]any
	require.NoError(s.t, json.Unmarshal(content, &all))
	maps.Copy(all, fields)
	content, err = json.Marshal(all)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(s.dir.Path(run, "run.json"), content, 0o600))
}

// stuck is a browser that reads nothing until it is closed.
type stuck struct {
	*httptest.ResponseRecorder

	released chan struct{}
}

func (w stuck) Write(p []byte) (int, error) {
	<-w.released
	return w.ResponseRecorder.Write(p)
}

func TestReportsThatAreMadeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.mount(func(c *console.Config) {
			c.Authorize = func(r *http.Request, _ console.Action) (string, error) { return r.Header.Get("User"), nil }
		})
		s.plan() // not applied, so that there is no file
		download := func(user string, w http.ResponseWriter) {
			r := s.request(http.MethodGet, "report?format=csv", nil)
			r.Header.Set("User", user)
			s.console.ServeHTTP(w, r)
		}
		status := func(user string) int {
			w := httptest.NewRecorder()
			download(user, w)
			return w.Code
		}
		released := make(chan struct{})
		for _, user := range []string{"ana", "bo"} {
			go download(user, stuck{httptest.NewRecorder(), released})
		}
		time.Sleep(time.Second)
		require.Equal(t, http.StatusTooManyRequests, status("ana"))
		require.Equal(t, http.StatusServiceUnavailable, status("cy"))
		close(released)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusOK, status("ana"))
		require.Equal(t, http.StatusOK, status("cy"))
	})
}

func TestTheChartShowsObservedMaintenance(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]bool{"seen": false, "a panic": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shop := newShop(20)
				s := &site{t: t, shop: shop, roles: console.Roles()}
				start := time.Now().Add(-125 * time.Minute)
				s.dir = shop.open(t, func(c *state.Config) {
					c.Observed = func() []maintenance.Window {
						if panics {
							panic("no observer")
						}
						return []maintenance.Window{{
							ID: "seen", Source: maintenance.SourceObserved, Start: start, End: start.Add(time.Hour),
						}}
					}
				})
				s.mount()
				s.see("read")
				require.Equal(t, !panics, strings.Contains(s.page(""), "within the observed maintenance"))
			})
		})
	}
}
