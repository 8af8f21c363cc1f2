// Command embed is a small billing service that watches over the maintenance of
// CloudBlue Connect: an ordering system of its own, with the three methods that speak
// for it, and a watcher that resubmits after each maintenance what it broke. The
// Connect is the sandbox's; a maintenance has just ended, and two calendars tell of it.
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
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cli.Parse(flag.NewFlagSet("embed", flag.ContinueOnError), os.Args[1:], os.Stdout, "There are no flags.\n")
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
	page := log.New(out, "", 0) // several write on it at once
	night := time.Now().UTC().Add(-4 * time.Hour).Truncate(time.Minute)
	if err := announce(dir, night); err != nil {
		return err
	}
	decide := &desk{limit: 1}
	world, err := sandbox.New(ctx, "127.0.0.1:0", 1, map[string]http.Handler{"/desk/": http.StripPrefix("/desk",
		decide.routes())})
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
	watcher, tracker, err := newWatcher(dir, newShop(night), client, decide, consoleHandler{page},
		func(_ watch.Episode, result *resubmit.Report) {
			if result != nil {
				page.Print(report.Text(result))
			}
			stop() // a service would go on
		})
	if err != nil {
		return err
	}
	decide.wake = watcher.Wake
	var all errgroup.Group
	all.Go(func() error { return tracker.Run(ctx, client) })
	all.Go(func() error { return watcher.Run(ctx) })
	all.Go(func() error { return approve(ctx, page, world.CommerceURL+"/desk") })
	if err := all.Wait(); !errors.Is(err, context.Canceled) || outer.Err() != nil {
		return cmp.Or(err, errors.New("the service ended by itself"))
	}
	for _, e := range watcher.Episodes() {
		page.Printf("%s: %s", e, e.Note)
	}
	return nil
}

// announce writes the calendars that people keep: of one team in the calendar program,
// of the other in a file.
func announce(dir string, night time.Time) error {
	const stamp = "20060102T150405Z"
	ics := fmt.Sprintf(
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//embed//EN\r\nBEGIN:VEVENT\r\nUID:CHG-7\r\nDTSTAMP:%[1]s\r\n"+
			"SUMMARY:Connect upgrade\r\nDTSTART:%[1]s\r\nDURATION:PT3H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", night.Format(stamp))
	if err := os.WriteFile(filepath.Join(dir, "team.ics"), []byte(ics), 0o600); err != nil {
		return err
	}
	weekly := fmt.Sprintf(
		`{"recurring": [{"id": "backup", "weekday": %q, "time": "02:00", "duration": "1h", "timezone": "Europe/Berlin", `+
			`"from": %q}]}`,
		night.AddDate(0, 0, 3).Weekday(), night.AddDate(0, 0, 2).Format(time.DateOnly))
	return os.WriteFile(filepath.Join(dir, "windows.json"), []byte(weekly), 0o600)
}

// newWatcher returns the watcher and the tracker of a service that sells through a shop.
func newWatcher(dir string, shop *shop, client *connect.Client, decide *desk, console consoleHandler,
	done func(watch.Episode, *resubmit.Report)) (*watch.Watcher, *availability.Tracker, error) {
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
	var watcher *watch.Watcher
	tracker, err := availability.NewTracker(
		availability.TrackerConfig{Calendar: func() *maintenance.Calendar { return watcher.Announced() }})
	if err != nil {
		return nil, nil, err
	}
	watcher, err = watch.New(watch.Config{
		Dir: filepath.Join(dir, "watcher"), Windows: windows, Outages: tracker,
		Ready: func(ctx context.Context, since time.Time) availability.Readiness {
			// and the Hub, if this were a hub of Connect
			return availability.CheckReadiness(ctx, client, availability.ReadinessQuery{Since: since})
		},
		Plan: func(context.Context, watch.Episode) (resubmit.PlanConfig, error) {
			// This shop is no hub of Connect, which knows nothing of its orders: the reason decides.
			return resubmit.PlanConfig{Lister: shop, IgnoreConnect: true, View: commerce.FailedOrders()}, nil
		},
		Approve: decide.Approve,
		Runner:  resubmit.Config{Reader: shop, Pusher: shop, RateLimit: 50, Verify: resubmit.VerifyConfig{First: 10 * time.Millisecond}},
		Journal: func(path string) (resubmit.Journal, error) { return journal.Open(path) },
		Done:    done,
		Logger:  slog.New(console),
	})
	return watcher, tracker, err
}

// approve is the person: looks at the plan, and says yes to that one.
func approve(ctx context.Context, page *log.Logger, desk string) error {
	for ctx.Err() == nil {
		plan, digest, err := call(ctx, http.MethodGet, desk+"/plan")
		if err != nil || digest == "" {
			select { // not asked yet
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		page.Print("\n", plan, "\n")
		_, _, err = call(ctx, http.MethodPost, desk+"/approve?"+url.Values{"plan": {digest}}.Encode())
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
