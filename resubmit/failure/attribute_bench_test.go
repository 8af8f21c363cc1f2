package failure_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// tenThousandWindows are ten years of windows, every third of which really went
// otherwise than planned.
func tenThousandWindows(t testing.TB) *maintenance.Calendar {
	t.Helper()
	windows := make([]maintenance.Window, 10_000)
	for i := range windows {
		w := maintenance.Window{ID: fmt.Sprint("w", i), Start: time.Date(2017, 1, 1, 8*i, 0, 0, 0, time.UTC)}
		w.End = w.Start.Add(2 * time.Hour)
		if i%3 == 0 {
			w.ActualStart, w.ActualEnd = w.Start.Add(10*time.Minute), w.End.Add(-20*time.Minute)
		}
		windows[i] = w
	}
	cal, err := maintenance.NewCalendar(windows)
	require.NoError(t, err)
	return cal
}

func ordersOfTenYears() []*commerce.Order {
	orders := make([]*commerce.Order, 4096)
	for i := range orders {
		at := time.Date(2017, 1, 1, 0, i*7919%4096*1170, 0, 0, time.UTC)
		o := &commerce.Order{ID: fmt.Sprint(i), VendorAccountID: fmt.Sprint(i % 7), PlacedAt: at.Add(-time.Hour),
			Failure: benchFailures[i%len(benchFailures)]}
		if i%2 == 0 {
			o.FailedAt = at
		}
		orders[i] = o
	}
	return orders
}

// BenchmarkAttribute attributes an order. For the budget, a million orders against ten
// thousand windows in 2 s, run it with -benchtime 1000000x.
func BenchmarkAttribute(b *testing.B) {
	orders, cal := ordersOfTenYears(), tenThousandWindows(b)
	rates, err := failure.NewBaseline(orders[0].PlacedAt, orders[0].PlacedAt.AddDate(0, 0, 60), nil)
	require.NoError(b, err)
	for _, o := range orders {
		rates.Add(o)
	}
	for _, with := range []struct {
		name string
		cfg  failure.AttributorConfig
	}{
		{"windows", failure.AttributorConfig{Calendar: cal}},
		{"windows and rates", failure.AttributorConfig{Calendar: cal, Baseline: rates}},
	} {
		b.Run(with.name, func(b *testing.B) {
			b.ReportAllocs()
			a := failure.NewAttributor(with.cfg)
			b.ResetTimer()
			for i := range b.N {
				a.Attribute(orders[i%len(orders)])
			}
		})
	}
}

func BenchmarkFailureTemplate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		failure.Template(transientText)
	}
}

var benchFailures = []commerce.Failure{
	failed(textTransient), failed(textPermanent), failed(textProvisioned), failed(textOther), {},
}
