package resubmit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// hostileChars has what a terminal acts on, what hides and what reorders text.
const hostileChars = "\x1b]0;title\a\x1b[2J\u009b31m\u202eevil\u2066\u200d\u200e\x7f\u2028\ufeff\ue000"

// hiddenText is what of it a window may have in its id and its title.
const hiddenText = "\u202eevil\u2066\u200d\u200e\u2028\ufeff\ue000"

// requireShown says that a text has no character but those that are shown, and ends of lines.
func requireShown(t require.TestingT, text string) {
	require.True(t, utf8.ValidString(text))
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsGraphic(r), "%U in %.300q", r, text)
	}
}

// hostileOrder is an order whose every text is hostile.
func hostileOrder(n int) *shopOrder {
	o := outageOrder(n, fmt.Sprint("s", n, hostileChars))
	o.ID += hostileChars
	o.Number += hostileChars
	o.VendorAccountID, o.TenantID, o.CustomerID, o.CustomerName = "v"+hostileChars, "t"+hostileChars, "c"+hostileChars,
		"Acme"+hostileChars
	o.Total.Currency = "EUR" + hostileChars
	o.Channel = commerce.Channel("reseller" + hostileChars)
	o.ProvisioningStatus = commerce.ProvisioningStatus("failed" + hostileChars)
	o.Failure = failed(outage + " " + hostileChars)
	return o
}

// hostileShop is a shop with orders that end in every way, each with hostile texts.
func hostileShop() *shop {
	s := newShop()
	for i := range 6 {
		o := hostileOrder(i)
		o.generation = 1
		s.orders[o.ID] = o
		again := "no stock " + hostileChars
		o.fates = [][]fate{nil, {{time.Second, commerce.StatusProvisioningFailed, again}}, nil, nil,
			{{time.Second, "", ""}}, nil}[i]
	}
	return s
}

// hostilePusher answers some pushes with hostile errors.
type hostilePusher struct{ *shop }

func (p hostilePusher) Push(ctx context.Context, id string, to commerce.Status) error {
	refused := &commerce.Error{
		Op: "push order", HTTPStatus: 409, URL: "https://c/" + hostileChars, Code: "c" + hostileChars,
		Message:       "m" + hostileChars,
		CorrelationID: "corr" + hostileChars, Delivery: commerce.DeliveryRefused, Err: commerce.ErrConflict,
	}
	switch {
	case strings.HasPrefix(id, "id-2"):
		return refused
	case strings.HasPrefix(id, "id-3"):
		return errors.New("lost: " + hostileChars + strings.Repeat("x", 2<<20)) // longer than a record may be
	default:
		return p.shop.Push(ctx, id, to)
	}
}

func hostileFinder(_ context.Context, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest,
	error) {
	found := map[connect.RequestKey][]connect.LatestRequest{}
	for _, k := range keys {
		found[k] = nil
		if strings.HasPrefix(k.SubscriptionID, "s5") {
			found[k] = []connect.LatestRequest{{Request: connect.Request{
				ID: "PR-1" + hostileChars, Type: connect.RequestType("purchase" + hostileChars),
				Status: connect.RequestStatus("odd" + hostileChars), Created: time.Now(),
			}}}
		}
	}
	return found, nil
}

// hostilePlan is the bytes of the plan for the orders of a shop.
func hostilePlan(t *testing.T, s *shop, j resubmit.Journal) []byte {
	t.Helper()
	source := &planSource{}
	for i := range len(s.orders) {
		source.orders = append(source.orders, &s.orders[fmt.Sprint("id-", i, hostileChars)].Order)
	}
	cal, err := maintenance.NewCalendar([]maintenance.Window{{
		ID: "CHG-1" + hiddenText, Title: "upgrade" + hiddenText, Source: "team", Start: time.Now().Add(-3 * time.Hour),
		End: time.Now().Add(-time.Hour),
	}})
	require.NoError(t, err)
	var plan bytes.Buffer
	_, err = resubmit.WritePlan(t.Context(), resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: source, Requests: planFinder(hostileFinder)}),
		Policy:  resubmit.Policy{SettleDelay: time.Second}, Calendar: cal, Filter: filter.Everything(), Journal: j,
	}, &plan)
	require.NoError(t, err)
	return plan.Bytes()
}

func TestPlanFileHasNoHostileCharacters(t *testing.T) {
	t.Parallel()
	s := hostileShop()
	content := hostilePlan(t, s, new(resubmit.MemoryJournal))
	requireShown(t, string(content))
	p, err := plan.Read(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	windows := p.Header().Windows
	require.Equal(t, "CHG-1"+hiddenText, windows[0].ID)
	entries := entriesOf(t, p)
	require.Len(t, entries, len(s.orders))
	for _, e := range entries {
		o := s.orders[e.OrderID]
		require.NotNil(t, o, "the id is the same, character by character")
		require.Equal(t, o.Number, e.Number)
		require.Equal(t, o.VendorAccountID, e.VendorAccountID)
		require.Equal(t, o.Channel, e.Channel)
		require.Equal(t, o.SubscriptionIDs, e.Subscriptions)
		require.Equal(t, o.TenantID, e.TenantID)
		require.Equal(t, o.Total.Currency, e.Total.Currency)
		require.Equal(t, plan.SnapshotOf(&o.Order), e.Before)
		require.Equal(t, plan.Fingerprint(o.ID, plan.SnapshotOf(&o.Order)), e.Fingerprint)
		requireShown(t, e.Decision.Why)
		for _, ev := range e.Attribution.Evidence {
			requireShown(t, ev.Text)
		}
	}

	raw := bytes.ReplaceAll(content, []byte(`\u202e`), []byte("\u202e")) // as earlier releases wrote it
	last := bytes.LastIndex(raw, []byte(`"digest":"`)) + len(`"digest":"`)
	raw = append(raw[:last:last], fmt.Sprintf("sha256:%x\"}\n", sha256.Sum256(raw[:last]))...)
	old, err := plan.Read(bytes.NewReader(raw), int64(len(raw)))
	require.NoError(t, err)
	require.Equal(t, entries, entriesOf(t, old))
}

func TestRunShowsNoHostileCharacters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testRunShowsNoHostileCharacter)
}

func testRunShowsNoHostileCharacter(t *testing.T) {
	s := hostileShop()
	dir := t.TempDir()
	kept, err := journal.Open(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	content := hostilePlan(t, s, kept)
	plan, err := plan.Read(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	log, err := audit.Open(filepath.Join(dir, "audit"), audit.Who{User: "u" + hostileChars, Host: "h", Program: "p"})
	require.NoError(t, err)
	var logged bytes.Buffer
	runner := runnerFor(t, s, func(c *resubmit.Config) {
		c.Pusher, c.Journal, c.SettleDelay = hostilePusher{s}, kept, time.Second
		c.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Verify = resubmit.VerifyConfig{InitialInterval: time.Second, Timeout: time.Minute}
		*c = log.Wrap(*c)
	})
	result, err := runner.Apply(t.Context(), plan)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	outcomes := map[protocol.Outcome]bool{}
	for _, item := range result.Items {
		outcomes[item.Outcome] = true
		requireShown(t, item.Why)
		require.Contains(t, item.Number, hostileChars)
		for _, ev := range item.Evidence {
			requireShown(t, ev.Text)
		}
	}
	require.GreaterOrEqual(t, len(outcomes), 3, outcomes)

	doc, err := report.New(report.Input{Plan: plan, Report: result})
	require.NoError(t, err)
	requireShown(t, doc.Text())
	requireShown(t, logged.String())
	requireShown(t, runner.Status().String())
	var lines, exported bytes.Buffer
	require.NoError(t, doc.WriteJSON(&lines))
	requireShown(t, lines.String())
	again, err := report.Read(&lines)
	require.NoError(t, err)
	require.Equal(t, doc.Items, again.Items)

	require.NoError(t, kept.Export(t.Context(), &exported))
	requireShown(t, exported.String())
	id := "id-0" + hostileChars
	rec, err := kept.Get(t.Context(), protocol.OrderKey(id))
	require.NoError(t, err)
	require.Equal(t, id, rec.ID)
	require.Equal(t, s.orders[id].Number, rec.Order.Number)
	requireShown(t, rec.Order.Why)
	require.NoError(t, kept.Close())
	written, err := os.ReadFile(filepath.Join(dir, "audit"))
	require.NoError(t, err)
	requireShown(t, string(written))
	_, err = audit.VerifyFile(filepath.Join(dir, "audit"))
	require.NoError(t, err)
}

func TestDifferencesShowNoHostileCharacters(t *testing.T) {
	t.Parallel()
	before, now := hostileShop(), hostileShop()
	for _, o := range now.orders {
		o.Failure = failed("another reason " + hostileChars)
		o.ProvisioningStatus += hostileChars
	}
	old, err := readPlan(hostilePlan(t, before, new(resubmit.MemoryJournal)))
	require.NoError(t, err)
	newer, err := readPlan(hostilePlan(t, now, new(resubmit.MemoryJournal)))
	require.NoError(t, err)
	var text, lines bytes.Buffer
	_, err = plan.Diff(old, newer, func(d plan.Difference) error {
		_, _ = fmt.Fprintln(&text, d)
		return json.NewEncoder(&lines).Encode(d)
	})
	require.NoError(t, err)
	require.Equal(t, len(now.orders), strings.Count(text.String(), "\n"))
	requireShown(t, text.String())
	requireShown(t, lines.String())
	a, b := plan.Snapshot{Status: commerce.Status("PF" +
		hostileChars)}, plan.Snapshot{Status: commerce.Status("CP" + hostileChars)}
	requireShown(t, a.Diff(b))
}

func TestExplanationShowsNoHostileCharacters(t *testing.T) {
	t.Parallel()
	o := hostileOrder(1).Order
	for _, text := range []string{
		"eq(number,X)", "eq(vendor,1)", "eq(id,1)", "eq(channel,direct)", "ilike(reason,*no*)", "ilike(customer,*Rose*)",
		"eq(subscription,7)",
	} {
		f, err := filter.Parse(text)
		require.NoError(t, err, text)
		requireShown(t, filter.Explain(f, &o).String())
		requireShown(t, filter.Explain(filter.Or(f, filter.Numbers("Y"+hostileChars)), &o).String())
	}
}
