package failure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

const (
	textTransient   = "APS Application Error:\n'500 Internal Server Error' received from 'POST http://connector/tenants'"
	textPermanent   = "Vendor has failed request PR-1-001 with following reason: no credit"
	textProvisioned = "#2007 Subscription already exists"
	textOther       = "the moon is in the wrong phase"
)

func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-11-"+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// nights are two maintenances of Connect: 22nd and 24th, 02:00 to 04:00.
func nights(t testing.TB) *maintenance.Calendar {
	t.Helper()
	cal, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "first", Start: at("22 02:00"), End: at("22 04:00")},
		{ID: "second", Start: at("24 02:00"), End: at("24 04:00")},
	})
	require.NoError(t, err)
	return cal
}

func failed(text string) commerce.Failure {
	if text == "" {
		return commerce.Failure{}
	}
	return commerce.Failure{Messages: map[string]string{"en_US": text}}
}

func attribute(o *commerce.Order, cal *maintenance.Calendar, m failure.Margins) failure.Attribution {
	return failure.NewAttributor(failure.AttributorConfig{Calendar: cal, Margins: m}).Attribute(o).Attribution
}

func TestAttributor(t *testing.T) {
	t.Parallel()
	var never time.Time
	tests := map[string]struct {
		text           string
		placed, failed time.Time
		margins        failure.Margins
		want           failure.Verdict
		window         string
	}{
		"transient, failed in a window": {textTransient, at("20 09:00"), at("22 03:00"),
			failure.Margins{}, failure.Caused, "first"},
		"transient, failed at the start of a window": {textTransient, never, at("22 02:00"), failure.Margins{},
			failure.Caused, "first"},
		"transient, failed at the end of a window": {textTransient, never, at("22 04:00"), failure.Margins{},
			failure.Unrelated, ""},
		"transient, failed in the tail of a window": {textTransient, never, at("22 04:05"),
			failure.Margins{Tail: 10 * time.Minute}, failure.Caused, "first"},
		"transient, failed in the lead of a window": {textTransient, never, at("22 01:55"),
			failure.Margins{Lead: 10 * time.Minute}, failure.Caused, "first"},
		"transient, failed outside though placed in one": {textTransient, at("22 03:00"), at("22 12:00"),
			failure.Margins{}, failure.Unrelated, ""},
		"transient, failed between windows": {textTransient, never, at("23 03:00"), failure.Margins{},
			failure.Unrelated, ""},
		"transient, placed in a window": {textTransient, at("24 03:59"), never, failure.Margins{},
			failure.Caused, "second"},
		"transient, placed a day before a window": {textTransient, at("21 02:00"), never, failure.Margins{},
			failure.Likely, "first"},
		"transient, placed more than a day before": {textTransient, at("21 01:59"), never, failure.Margins{},
			failure.UnknownCause, ""},
		"transient, placed more than the look-back before": {textTransient, at("22 01:00"), never,
			failure.Margins{Lookback: 30 * time.Minute}, failure.UnknownCause, ""},
		"transient, placed before, and no look-back at all": {textTransient, at("22 01:59"), never,
			failure.Margins{Lookback: -1}, failure.UnknownCause, ""},
		"transient, placed a day before the lead": {textTransient, at("21 01:00"), never,
			failure.Margins{Lead: time.Hour}, failure.Likely, "first"},
		"transient, placed after every window": {textTransient, at("24 04:00"), never, failure.Margins{},
			failure.Unrelated, ""},
		"transient, placed before a window yet to come": {textTransient, at("23 12:00"), never,
			failure.Margins{Now: at("23 20:00")}, failure.Unrelated, ""},
		"transient, placed before all, none has begun": {textTransient, at("21 12:00"), never,
			failure.Margins{Now: at("21 20:00")}, failure.UnknownCause, ""},
		"transient, failed before all, none has begun": {textTransient, never, at("21 12:00"),
			failure.Margins{Now: at("21 20:00")}, failure.UnknownCause, ""},
		"transient, no time at all": {textTransient, never, never, failure.Margins{}, failure.UnknownCause,
			""},
		"unclassified, failed in a window": {textOther, never, at("22 03:00"), failure.Margins{}, failure.Likely,
			"first"},
		"no reason, placed in a window": {"", at("22 03:00"), never, failure.Margins{}, failure.Likely,
			"first"},
		"unclassified, failed outside": {textOther, never, at("23 03:00"), failure.Margins{},
			failure.Unrelated, ""},
		"unclassified, placed shortly before a window": {textOther, at("22 01:00"), never, failure.Margins{},
			failure.UnknownCause, ""},
		"permanent, failed in a window": {textPermanent, never, at("22 03:00"), failure.Margins{},
			failure.Unrelated, ""},
		"provisioned already, placed in a window": {textProvisioned, at("22 03:00"), never, failure.Margins{},
			failure.Unrelated, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &commerce.Order{ID: "1", PlacedAt: test.placed, FailedAt: test.failed, Failure: failed(test.text)}
			got := attribute(o, nights(t), test.margins)
			require.Equal(t, test.want, got.Verdict, "%+v", got.Evidence)
			require.Equal(t, test.window, got.WindowID)
		})
	}
}

func TestAttributorWithoutWindows(t *testing.T) {
	t.Parallel()
	for _, o := range []*commerce.Order{
		{Failure: failed(textTransient), FailedAt: at("22 03:00")},
		{Failure: failed(textTransient), PlacedAt: at("22 03:00")},
	} {
		got := attribute(o, nil, failure.Margins{Lead: time.Hour})
		require.Equal(t, failure.UnknownCause, got.Verdict)
		require.Equal(t, "no window is known that could have caused it", got.Evidence[2].Text)
	}
}

func TestAttributorReportsWhichTimeItUsed(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	o := &commerce.Order{Failure: failed(textTransient), PlacedAt: at("22 03:00").In(berlin)}
	require.Equal(t, []failure.Evidence{
		{Kind: "reason", Text: "the reason is transient", Ref: "http-500"},
		{Kind: "time", Text: "only the time of placing is known", At: at("22 03:00")},
		{Kind: "window", Text: "placed in the planned times of this window; the first call of such an order fails it",
			Ref: "first", At: at("22 02:00")},
	}, attribute(o, nights(t), failure.Margins{}).Evidence)

	o.FailedAt = at("22 03:30")
	got := attribute(o, nights(t), failure.Margins{}).Evidence
	require.Equal(t, failure.Evidence{Kind: "time", Text: "the time of the failure is known", At: at("22 03:30")}, got[1])
}

func TestAttributorNeverRelatesPermanentFailures(t *testing.T) {
	t.Parallel()
	cal := nights(t)
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.Custom(func(t *rapid.T) time.Time {
			return at("20 00:00").Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(t, "minute")) * time.Minute)
		})
		text := rapid.SampledFrom([]string{textPermanent, textProvisioned, textPermanent + " " + textTransient}).Draw(t,
			"text")
		o := &commerce.Order{PlacedAt: instant.Draw(t, "placed"), FailedAt: instant.Draw(t, "failed"), Failure: failed(text)}
		m := failure.Margins{Lead: time.Hour, Tail: time.Hour, Now: instant.Draw(t, "now")}
		require.Equal(t, failure.Unrelated, attribute(o, cal, m).Verdict)
	})
}
