// Command embed is a small billing service with a watcher, which resubmits failed orders after each maintenance of
// Connect. The service has an ordering system of its own, connected by six methods, two calendars of maintenance, and
// an approval over HTTP. Connect is a test system; a maintenance has just ended.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.Parse(flag.NewFlagSet("embed", flag.ContinueOnError), os.Args[1:], os.Stdout, "The program has no flags.\n")
	if err == nil {
		err = run(ctx, os.Stdout)
	}
	stop()
	os.Exit(cli.Status("embed", err, os.Stderr))
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "embed")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	printer := log.New(out, "", 0) // safe for concurrent use
	start := time.Now().UTC().Add(-4 * time.Hour).Truncate(time.Minute)
	if err := writeCalendars(dir, start); err != nil {
		return err
	}
	approver := new(approver)
	world, err := sandbox.New(ctx, "127.0.0.1:0", 1, map[string]http.Handler{"/desk/": http.StripPrefix("/desk",
		approver.routes())})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	client, err := connect.New(world.ConnectURL, connect.APIKey(world.ConnectKey))
	if err != nil {
		return err
	}

	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watcher, tracker, err := newWatcher(ctx, dir, newTicketSystem(start), client, approver, consoleHandler{printer},
		func(_ watch.Episode, run *state.Run) {
			if run != nil {
				printer.Print(run)
			}
			stop() // a service would continue
		})
	if err != nil {
		return err
	}
	approver.wake = watcher.Wake
	var all errgroup.Group
	all.Go(func() error { return tracker.Run(ctx, client) })
	all.Go(func() error { return watcher.Run(ctx) })
	all.Go(func() error { return approve(ctx, printer, world.CommerceURL+"/desk") })
	if err := all.Wait(); !errors.Is(err, context.Canceled) || outer.Err() != nil {
		return cmp.Or(err, errors.New("the service ended unexpectedly"))
	}
	for _, e := range watcher.Episodes() {
		printer.Printf("%s: %s", e, e.Note)
	}
	return nil
}

// writeCalendars writes an iCalendar file and a file of weekly windows.
func writeCalendars(dir string, start time.Time) error {
	const stamp = "20060102T150405Z"
	ics := fmt.Sprintf(
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//embed//EN\r\nBEGIN:VEVENT\r\nUID:CHG-7\r\nDTSTAMP:%[1]s\r\n"+
			"SUMMARY:Connect upgrade\r\nDTSTART:%[1]s\r\nDURATION:PT3H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", start.Format(stamp))
	if err := os.WriteFile(filepath.Join(dir, "team.ics"), []byte(ics), 0o600); err != nil {
		return err
	}
	weekly := fmt.Sprintf(
		`{"weekly": [{"id": "backup", "weekday": %q, "time": "02:00", "duration": "1h", "timezone": "Europe/Berlin", `+
			`"from": %q}]}`,
		start.AddDate(0, 0, 3).Weekday(), start.AddDate(0, 0, 2).Format(time.DateOnly))
	return os.WriteFile(filepath.Join(dir, "windows.json"), []byte(weekly), 0o600)
}

// newWatcher returns the watcher and the tracker of the service.
func newWatcher(
	ctx context.Context, dir string, tickets *ticketSystem, client *connect.Client, approver *approver,
	messages consoleHandler, done func(watch.Episode, *state.Run),
) (*watch.Watcher, *availability.Tracker, error) {
	team, err := ical.NewFile(filepath.Join(dir, "team.ics"))
	if err != nil {
		return nil, nil, err
	}
	windows, err := maintenance.NewMulti([]maintenance.NamedSource{
		{Name: "team", Source: team},
		{Name: "file", Source: maintenance.NewFileSource(filepath.Join(dir, "windows.json"))},
	}, maintenance.WithCacheDir(filepath.Join(dir, "windows")))
	if err != nil {
		return nil, nil, err
	}
	key, err := plan.ApprovalKey(filepath.Join(dir, "keys", "approval.key"))
	if err != nil {
		return nil, nil, err
	}
	var watcher *watch.Watcher
	tracker, err := availability.NewTracker(
		availability.TrackerConfig{Calendar: func() *maintenance.Calendar { return watcher.Announced() }})
	if err != nil {
		return nil, nil, err
	}
	watcher, err = watch.New(ctx, watch.Config{
		Dir: filepath.Join(dir, "state"), Windows: windows, Outages: tracker,
		State: state.Config{
			Systems: resubmit.SystemsOf(tickets, tickets),
			// The orders of this service are not in Connect, so the reason of the failure decides.
			Plan:   resubmit.PlanConfig{IgnoreConnect: true, View: commerce.FailedOrdersView()},
			Runner: resubmit.Config{RateLimit: 50, Verify: resubmit.VerifyConfig{InitialInterval: 10 * time.Millisecond}},
			Limits: state.Limits{MaxOrders: 1},                     // a person approves larger plans
			Anchor: state.FileAnchor(filepath.Join(dir, "anchor")), // a service uses the default
		},
		Ready: func(ctx context.Context, since time.Time) availability.Readiness {
			// The query would name the hub if this service were a hub of Connect.
			return availability.CheckReadiness(ctx, client, availability.ReadinessConfig{Since: since})
		},
		Approve: approver.Approve, ApprovalKey: key,
		OnClosed: done,
		Logger:   slog.New(messages),
	})
	return watcher, tracker, err
}

// approve stands for the person who reads the plan and approves it.
func approve(ctx context.Context, printer *log.Logger, base string) error {
	for ctx.Err() == nil {
		plan, digest, err := call(ctx, http.MethodGet, base+"/plan")
		if err != nil || digest == "" {
			select { // there is no plan yet
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		printer.Print("\n", plan, "\n")
		_, _, err = call(ctx, http.MethodPost, base+"/approve?"+url.Values{"plan": {digest}}.Encode())
		return err
	}
	return nil
}

func call(ctx context.Context, method, address string) (body, plan string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return "", "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, req.URL.Path, resp.Status, text)
	}
	return string(text), resp.Header.Get("Plan"), errors.Join(err, resp.Body.Close())
}
