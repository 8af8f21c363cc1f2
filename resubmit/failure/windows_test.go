package failure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// lookedAt is the night of the 22nd, announced from 02:00 to 04:00, of which looks found
// 02:30 to 03:30; an outage on the 23rd that nobody announced; and a time on the
// 24th when nothing answered at all.
func lookedAt(t testing.TB) *maintenance.Calendar {
	t.Helper()
	cal, err := maintenance.NewCalendar([]maintenance.Window{{ID: "night", Start: at("22 02:00"), End: at("22 04:00")}})
	require.NoError(t, err)
	outage := func(id, from, to string, unreachable bool) maintenance.Window {
		return availability.Outage{ID: id, First: at(from), Last: at(to), End: at(to), Unreachable: unreachable}.Window()
	}
	cal, err = cal.WithObserved([]maintenance.Window{
		outage("looks", "22 02:30", "22 03:30", false),
		outage("blip", "22 03:40", "22 03:45", true),
		outage("surprise", "23 10:00", "23 10:20", false),
		outage("silence", "24 10:00", "24 10:20", true),
	}, at("24 12:00"))
	require.NoError(t, err)
	return cal
}

func TestAttributorDistinguishesPlannedFromActualTimes(t *testing.T) {
	t.Parallel()
	var never time.Time
	const (
		likely  = failure.Likely
		unknown = failure.UnknownCause
	)
	for name, test := range map[string]struct {
		text           string
		placed, failed time.Time
		want           failure.Verdict
		window, says   string
	}{
		"failed while it was seen": {textTransient, never, at("22 03:00"), failure.Caused, "night",
			"failed in the actual times of this window"},
		"unclassified, failed while it was seen": {textOther, never, at("22 03:00"), likely, "night",
			"failed in the actual times of this window"},
		"failed after it was last seen": {textTransient, never, at("22 03:35"), likely, "night",
			"failed in the planned times of this window, but not in its actual ones"},
		"failed while only the network was away": {textTransient, never, at("22 03:42"), likely, "night",
			"failed in the planned times of this window, but not in its actual ones"},
		"unclassified, after it was last seen": {textOther, never, at("22 03:35"), unknown, "",
			"failed in the planned times of this window, but not in its actual ones"},
		"failed after its planned end": {textTransient, never, at("22 04:00"), failure.Unrelated, "",
			"failed outside all windows"},
		"placed while it was seen": {textTransient, at("22 02:30"), never, failure.Caused, "night",
			"placed in the actual times of this window; the first call of such an order fails it"},
		"placed before it was first seen": {textTransient, at("22 02:10"), never, likely, "night",
			"placed in the planned times of this window, but not in its actual ones"},
		"placed the evening before": {textTransient, at("21 20:00"), never, likely, "night",
			"placed shortly before this window, which fails waiting orders too"},
		"failed in what nobody announced": {textTransient, never, at("23 10:10"), failure.Caused, "surprise",
			"failed in this outage, which was observed and not announced"},
		"placed in what nobody announced": {textTransient, at("23 10:10"), never, failure.Caused, "surprise",
			"placed in this outage, which was observed and not announced; the first call of such an order fails it"},
		"failed while nothing answered": {textTransient, never, at("24 10:10"), likely, "silence",
			"failed while Connect did not answer, possibly because of the network on this side"},
		"placed while nothing answered": {textTransient, at("24 10:10"), never, likely, "silence",
			"placed while Connect did not answer, possibly because of the network on this side"},
		"unclassified, while nothing answered": {textOther, never, at("24 10:10"), unknown, "",
			"failed while Connect did not answer, possibly because of the network on this side"},
		"placed shortly before nothing answered": {textTransient, at("24 09:50"), never, failure.Unrelated, "",
			"placed after every window, the last of which is this"},
		"refused by the vendor while it was seen": {textPermanent, never, at("22 03:00"), failure.Unrelated, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &commerce.Order{ID: "1", PlacedAt: test.placed, FailedAt: test.failed, Failure: failed(test.text)}
			got := attribute(o, lookedAt(t), failure.Margins{})
			require.Equal(t, test.want, got.Verdict, "%+v", got.Evidence)
			require.Equal(t, test.window, got.WindowID)
			last := got.Evidence[len(got.Evidence)-1]
			if test.says == "" {
				require.Equal(t, "reason", last.Kind)
				return
			}
			require.Equal(t, test.says, last.Text)
		})
	}
}

func TestMarginsExtendPlannedTimes(t *testing.T) {
	t.Parallel()
	o := &commerce.Order{FailedAt: at("22 04:05"), Failure: failed(textTransient)}
	require.Equal(t, failure.Unrelated, attribute(o, lookedAt(t), failure.Margins{}).Verdict)
	require.Equal(t, failure.Likely, attribute(o, lookedAt(t),
		failure.Margins{Tail: 10 * time.Minute}).Verdict)
}
