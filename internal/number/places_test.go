package number_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// serve answers all requests with a body, and with headers that come in pairs.
func serve(t *testing.T, body string, header ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if len(header) > 0 && header[0] == "Retry-After" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// firstError is the first error of a list, or the problems of its first order.
func firstError[T any](list iter.Seq2[T, error]) error {
	for v, err := range list {
		if o, ok := any(v).(*commerce.Order); ok && err == nil && len(o.Problems) > 0 {
			return fmt.Errorf("problems: %s", o.Problems)
		}
		return err
	}
	return nil
}

// places are where numbers are read. Each gets a number and returns what is said of it.
func places(t *testing.T) map[string]func(ctx context.Context, n string) error {
	text := func(load func(*strings.Reader) error, format string) func(context.Context, string) error {
		return func(_ context.Context, n string) error { return load(strings.NewReader(fmt.Sprintf(format, n))) }
	}
	orders := func(format string) func(context.Context, string) error {
		return func(ctx context.Context, n string) error {
			c, err := ordermanager.New(serve(t, fmt.Sprintf(format, n)), ordermanager.Token("token"))
			require.NoError(t, err)
			return firstError(c.Orders(ctx, commerce.Query{}))
		}
	}
	simple := func(format string) func(context.Context, string) error {
		return func(ctx context.Context, n string) error {
			c, err := simpleapi.New(serve(t, fmt.Sprintf(format, n)), simpleapi.Token("key", "token"))
			require.NoError(t, err)
			return firstError(c.ListUnchecked(ctx, simpleapi.ListConditions{}))
		}
	}
	requests := func(body string, header ...string) func(context.Context, string) error {
		return func(ctx context.Context, n string) error {
			h := make([]string, len(header))
			for i := range header {
				h[i] = strings.ReplaceAll(header[i], "N", n[:min(len(n), 1<<19)]) // net/http reads no more
			}
			c, err := connect.New(serve(t, strings.ReplaceAll(body, "N", n), h...), connect.APIKey("ApiKey SU-1:abc"),
				connect.WithMaxTries(1))
			require.NoError(t, err)
			return firstError(c.Requests(ctx, connect.RequestQuery{}))
		}
	}
	calendar := func(format string) func(context.Context, string) error {
		return func(ctx context.Context, n string) error {
			event := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\n" +
				"UID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\n" +
				"SUMMARY:Maintenance\r\n" +
				fmt.Sprintf(format, n) + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
			s, err := ical.Parse(strings.NewReader(event), "x")
			if err == nil {
				_, err = s.Windows(ctx, time.Unix(0, 0), time.Now())
			}
			return err
		}
	}
	return map[string]func(context.Context, string) error{
		"Order Management: amount":       orders(`[{"orderId":"a","total":{"code":"USD","value":%s}}]`),
		"Order Management: amount, text": orders(`[{"orderId":"a","total":{"code":"USD","value":"%s"}}]`),
		"Order Management: id":           orders(`[{"orderId":%s}]`),
		"Order Management: date":         orders(`[{"orderId":"a","orderDate":%s}]`),
		"Order Management: many amounts": orders("[" + strings.Repeat(`{"orderId":"a","total":{"code":"USD","value":%[1]s}},`,
			8) + "null]"),
		"Simple API: amount":       simple(`{"data":[{"id":"1","total":{"amount":%s}}],"pagination":{"total":1}}`),
		"Simple API: amount, text": simple(`{"data":[{"id":"1","total":"%s"}],"pagination":{"total":1}}`),
		"Connect: id":              requests(`[{"id":N}]`),
		"Filter: amount": text(func(r *strings.Reader) error {
			b := make([]byte, r.Len())
			_, _ = r.Read(b)
			_, err := filter.Parse(string(b))
			return err
		}, "gt(amount,%sEUR)"),
		"Rules": text(func(r *strings.Reader) error { _, err := rules.Load(r); return err },
			`{"rules":[{"id":%s}]}`),
		"Patterns": text(func(r *strings.Reader) error { _, err := failure.LoadPatterns(r); return err },
			`{"patterns":[{"id":%s}]}`),
		"Views": text(func(r *strings.Reader) error { _, err := commerce.LoadViews(r); return err },
			`{"views":[{"name":%s}]}`),
		"Windows": text(func(r *strings.Reader) error { _, err := maintenance.LoadCalendar(r); return err },
			`{"windows":[{"id":%s}]}`),
		"Ids": text(func(r *strings.Reader) error { _, err := billing.ReadOrderRefs(r); return err }, "OrderID\n%s\n"),
		"Ids: count": text(func(r *strings.Reader) error { _, err := billing.ReadOrderRefs(r); return err },
			"OrderID\n1\n(%s rows)\n"),
		"Signature": text(func(r *strings.Reader) error { _, err := plan.ReadSignature(r); return err },
			`{"kind":"cloudblue-resubmit-signature","version":%s}`),
		"Plan: version": text(readPlan, `{"kind":"cloudblue-resubmit-plan","version":%s}`+"\n"),
		"Plan: amount":  text(readPlan, planWithAmount(t)),
		"Fault": text(func(r *strings.Reader) error { return json.NewDecoder(r).Decode(new(testkit.Fault)) },
			`{"status":%s}`),
		"Tracker": text(func(r *strings.Reader) error {
			b := make([]byte, r.Len())
			_, _ = r.Read(b)
			return new(availability.Tracker).UnmarshalJSON(b)
		}, `{"format":%s}`),
		"Audit head":                      auditHead(t),
		"Calendar: INTERVAL":              calendar("DURATION:PT1H\r\nRRULE:FREQ=DAILY;INTERVAL=%s"),
		"Calendar: COUNT":                 calendar("DURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=%s"),
		"Calendar: BYMONTHDAY":            calendar("DURATION:PT1H\r\nRRULE:FREQ=MONTHLY;BYMONTHDAY=%s"),
		"Calendar: BYDAY":                 calendar("DURATION:PT1H\r\nRRULE:FREQ=MONTHLY;BYDAY=%sMO"),
		"Calendar: DURATION":              calendar("DURATION:PT%sH"),
		"Calendar: SEQUENCE":              calendar("DURATION:PT1H\r\nSEQUENCE:%s"),
		"Status page: id":                 statusPage(t),
		"Connect: Content-Range (a hint)": requests(`[]`, "Content-Range", "items 0-9/N"),
		"Connect: Retry-After (a hint)":   requests(`[]`, "Retry-After", "N"),
		"Simple API: total (a hint)":      simple(`{"data":[],"pagination":{"total":%s}}`),
	}
}

func readPlan(r *strings.Reader) error {
	_, err := plan.Read(r, r.Size())
	return err
}

// planWithAmount is a plan of one order, with a format verb for its amount.
func planWithAmount(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Header{View: "v", Filter: "everything()"})
	require.NoError(t, err)
	e := &plan.Entry{
		OrderID: "a", Total: commerce.Money{Currency: "USD"}, Before: plan.Snapshot{Status: "PF"},
		Attribution: failure.Attribution{Verdict: failure.UnknownCause, Class: failure.Unclassified},
		Decision:    rules.Decision{Action: rules.Hold},
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	require.NoError(t, w.Write(e))
	_, _, err = w.Close()
	require.NoError(t, err)
	return strings.Replace(b.String(), `"amount":"0"`, `"amount":"%s"`, 1)
}

func auditHead(t *testing.T) func(context.Context, string) error {
	return func(_ context.Context, n string) error {
		path := filepath.Join(t.TempDir(), "audit")
		l, err := audit.Open(path, audit.Who{Program: "p"})
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, os.WriteFile(path+".head", []byte(`{"lines":`+n+`}`), 0o600))
		l, err = audit.Open(path, audit.Who{Program: "p"})
		if err == nil {
			return l.Close()
		}
		return err
	}
}

func statusPage(t *testing.T) func(context.Context, string) error {
	return func(ctx context.Context, n string) error {
		url := serve(t, `{"page":{},"scheduled_maintenances":[{"id":`+n+`}],"components":[]}`, "Age", n[:min(len(n), 1<<19)])
		s, err := statuspage.New(url, statuspage.WithMaxTries(1))
		require.NoError(t, err)
		_, err = s.Windows(ctx, time.Unix(0, 0), time.Now())
		return err
	}
}

func TestAllParsersRejectLongNumbers(t *testing.T) {
	const size = 1<<20 - 4096 // some files have at most 1 MiB
	long := strings.Repeat("9", size)
	for name, read := range places(t) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := read(t.Context(), long)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if !strings.Contains(name, "(a hint)") {
				require.Error(t, err)
				require.Less(t, len(err.Error()), 2000)
			}
			require.Less(t, took, 5*time.Second)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400*size))
		})
	}
}
