package failure_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// ofProduct returns an order that failed with a transient reason.
func ofProduct(product, vendor string, when time.Time) *commerce.Order {
	text := "Provisioning: resource 1 for APS application '" + product + "': 502 Bad Gateway"
	if product == "" {
		text = "502 Bad Gateway"
	}
	return &commerce.Order{
		ID: product + when.String(), Status: commerce.StatusProvisioningFailed, VendorAccountID: vendor, FailedAt: when,
		PlacedAt: when, Failure: failed(text),
	}
}

// aWeek returns counts of one product that fails every hour, and three that fail in the first of two nights only.
func aWeek(t testing.TB) *failure.Baseline {
	t.Helper()
	rates, err := failure.NewBaseline(at("20 00:00"), at("26 00:00"), nil)
	require.NoError(t, err)
	for hour := range 6 * 24 {
		rates.Add(ofProduct("Always", "1", at("20 00:30").Add(time.Duration(hour)*time.Hour)))
	}
	for i := range 60 {
		rates.Add(ofProduct(fmt.Sprint("Product ", i%3), "2", at("22 02:00").Add(time.Duration(i)*2*time.Minute)))
	}
	return rates
}

func rateTexts(a failure.Attribution) []string {
	var texts []string
	for _, e := range a.Evidence {
		if e.Kind == "rate" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func TestBaselineWeakensTheVerdictOfWhatFailsAllTheTime(t *testing.T) {
	t.Parallel()
	a := failure.NewAttributor(failure.AttributorConfig{Calendar: nights(t), Baseline: aWeek(t)})
	all := "open failures of all products: 62 in its 2h (31.0 an hour), 24 in 24h before (1.0 an hour), 24 in 24h after " +
		"(1.0 an hour)" +
		"; 4 of 6 products and sellers failed more than usual, so the window is more likely the cause"

	got := a.Attribute(ofProduct("Always", "1", at("22 03:00")))
	require.Equal(t, failure.Likely, got.Verdict, "one step weaker")
	require.Equal(t, []string{
		"open failures of application 'Always': 2 in its 2h (1.0 an hour), 24 in 24h before (1.0 an hour), 24 in " +
			"24h after (1.0 an hour)" +
			": it fails all the time, so the window is less likely the cause",
		all,
	}, rateTexts(got.Attribution))

	got = a.Attribute(ofProduct("Product 1", "2", at("22 03:00")))
	require.Equal(t, failure.Caused, got.Verdict)
	require.Equal(t, []string{
		"open failures of application 'Product 1': 20 in its 2h (10.0 an hour), 0 in 24h before (0.0 an hour), 0 in " +
			"24h after (0.0 an hour)",
		all,
	}, rateTexts(got.Attribution))

	got = a.Attribute(ofProduct("", "2", at("22 03:00")))
	require.Contains(t, rateTexts(got.Attribution)[0], "of seller 2: 60 in its 2h", "falls back to the seller")
	got = a.Attribute(ofProduct("", "", at("22 03:00")))
	require.Len(t, rateTexts(got.Attribution), 1, "neither product nor seller is known")
	got = a.Attribute(ofProduct("Product 1", "2", at("23 03:00")))
	require.Empty(t, rateTexts(got.Attribution), "outside the windows")
}

func TestBaselineReportsAWindowWithoutRaisedRates(t *testing.T) {
	t.Parallel()
	a := failure.NewAttributor(failure.AttributorConfig{Calendar: nights(t), Baseline: aWeek(t)})
	got := a.Attribute(ofProduct("", "3", at("24 03:00")))
	require.Equal(t, failure.Caused, got.Verdict)
	require.Equal(t, []string{
		"open failures of all products: 2 in its 2h (1.0 an hour), 24 in 24h before (1.0 an hour), 24 in 24h after (1.0 an " +
			"hour); 0 of 2 products and sellers failed more than usual",
	}, rateTexts(got.Attribution))
}

func TestBaselineIgnoresTooFewFailures(t *testing.T) {
	t.Parallel()
	rates, err := failure.NewBaseline(at("20 00:00"), at("26 00:00"), nil)
	require.NoError(t, err)
	for _, clock := range []string{"21 06:00", "21 12:00", "21 18:00", "21 22:00", "22 03:00", "22 06:00", "22 12:00",
		"22 18:00", "22 23:00"} {
		rates.Add(ofProduct("Rare", "1", at(clock)))
	}
	a := failure.NewAttributor(failure.AttributorConfig{Calendar: nights(t), Baseline: rates})
	require.Equal(t, failure.Caused, a.Attribute(ofProduct("Rare", "1", at("22 03:00"))).Verdict)
}

func TestBaselineComparesNothingAfterAWindowThatIsNotOver(t *testing.T) {
	t.Parallel()
	a := failure.NewAttributor(failure.AttributorConfig{
		Calendar: nights(t), Baseline: aWeek(t), Margins: failure.Margins{Now: at("22 02:57")},
	})
	got := a.Attribute(ofProduct("Always", "1", at("22 02:30")))
	require.Equal(t, failure.Caused, got.Verdict)
	require.Contains(t, rateTexts(got.Attribution)[0], "1 in its 1h (1.0 an hour), 24 in 24h before (1.0 an hour)")
	require.NotContains(t, rateTexts(got.Attribution)[0], "after")
}

func TestBaselineDoesNotCompareWindowsOutsideItsInterval(t *testing.T) {
	t.Parallel()
	rates, err := failure.NewBaseline(at("10 00:00"), at("12 00:00"), nil)
	require.NoError(t, err)
	a := failure.NewAttributor(failure.AttributorConfig{Calendar: nights(t), Baseline: rates})
	require.Equal(t, []string{"the rate of failures was not measured for this window"},
		rateTexts(a.Attribute(ofProduct("P", "1", at("22 03:00"))).Attribution))
}

func TestBaselineString(t *testing.T) {
	t.Parallel()
	rates, err := failure.NewBaseline(at("20 00:00"), at("26 00:00"), nil)
	require.NoError(t, err)
	for i := range 600 {
		rates.Add(ofProduct("", fmt.Sprint("v", i), at("22 03:00")))
	}
	rates.Add(ofProduct("", "v0", at("19 23:59")))
	rates.Add(ofProduct("", "v0", at("26 00:00")))
	rates.Add(&commerce.Order{Failure: failed(textTransient)})
	rates.Add(&commerce.Order{Failure: failed(textPermanent), FailedAt: at("22 03:00"), VendorAccountID: "v0"})
	require.Equal(t,
		"600 open failures of 500 products and sellers, from 2026-11-20T00:00:00Z to 2026-11-26T00:00:00Z in steps of 5m; "+
			"3 more are outside this interval or have no time; "+
			"100 of them count in the total only, because there are more than 500 products and sellers", rates.String())
}

func TestNewBaselineRejectsIntervals(t *testing.T) {
	t.Parallel()
	for name, span := range map[string][2]time.Time{
		"is empty": {at("23 00:00"), at("22 00:00")}, "give a start": {at("23 00:00"), {}},
		"longer than 60 days": {at("01 00:00"), at("01 00:00").AddDate(0, 0, 61)},
	} {
		_, err := failure.NewBaseline(span[0], span[1], nil)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "\n")
	}
	rates, err := failure.NewBaseline(at("01 00:00"), at("01 00:00").AddDate(0, 0, 60), nil)
	require.NoError(t, err)
	require.Contains(t, rates.String(), "in steps of 22m")
}

func TestBaselineComparesWithTimesOutsideAllWindows(t *testing.T) {
	t.Parallel()
	rates, err := failure.NewBaseline(at("21 00:00"), at("26 00:00"), nil)
	require.NoError(t, err)
	for i := range 240 { // in both nights, 22nd and 24th, and never between
		rates.Add(ofProduct("P", "1", at("22 02:00").Add(time.Duration(i%60)*2*time.Minute+
			time.Duration(i/120)*48*time.Hour)))
	}
	cal := nights(t).WithMargins(24*time.Hour, 22*time.Hour) // so that they touch
	got := failure.NewAttributor(failure.AttributorConfig{Calendar: cal, Baseline: rates}).Attribute(ofProduct("P", "1",
		at("22 03:00")))
	require.Equal(t, failure.Caused, got.Verdict)
	require.NotContains(t, rateTexts(got.Attribution)[0], "before")
}
