package failure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

func request(status connect.RequestStatus, created, updated time.Time) connect.LatestRequest {
	return connect.LatestRequest{Request: connect.Request{
		ID: "PR-1", Type: connect.TypePurchase, Status: status, Created: created, Updated: updated,
	}}
}

func TestApplyRequests(t *testing.T) {
	t.Parallel()
	var never time.Time
	for name, test := range map[string]struct {
		placed, failed time.Time
		requests       []connect.LatestRequest
		want           failure.Verdict
		says           []string // of the requests, one evidence each
	}{
		"placed in the window, and nothing reached Connect": {
			at("22 03:00"), never, nil, failure.Caused,
			[]string{"Connect has no request for it"},
		},
		"placed in the window, and Connect took its request there": {
			at("22 03:00"), never, []connect.LatestRequest{request(connect.StatusPending, at("22 03:10"), at("22 03:10"))},
			failure.Likely,
			[]string{
				"the latest purchase request is pending, created 2026-11-22T03:10:00Z in the window, which proves nothing" +
					", not older than the order",
				"Connect accepted its request, so its first call did not fail because of the window",
			},
		},
		"placed in the window, and Connect took its request later": {
			at("22 03:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("22 09:00"), at("22 09:10"))},
			failure.Likely,
			[]string{
				"the latest purchase request is approved, created 2026-11-22T09:00:00Z after the window, not older than the order",
				"Connect accepted its request, so its first call did not fail because of the window",
			},
		},
		"failed in the window, whatever Connect has": {
			at("22 03:00"), at("22 03:01"), []connect.LatestRequest{request(connect.StatusApproved, at("22 09:00"),
				at("22 09:10"))}, failure.Caused,
			[]string{"the latest purchase request is approved, created 2026-11-22T09:00:00Z after the window" +
				", not older than the order"},
		},
		"an older order's request is none": {
			at("22 03:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("20 09:00"), at("20 09:10"))},
			failure.Caused,
			[]string{"the latest purchase request is approved, created 2026-11-20T09:00:00Z before the window" +
				", older than the order"},
		},
		"placed before the window, and it waited": {
			at("22 01:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("22 01:01"), at("22 05:00"))},
			failure.Likely,
			[]string{"the latest purchase request is approved, created 2026-11-22T01:01:00Z before the window" +
				", not older than the order"},
		},
		"placed before the window, and it still waits": {
			at("22 01:00"), never, []connect.LatestRequest{request(connect.StatusInquiring, at("22 01:01"), at("22 01:30"))},
			failure.Likely,
			[]string{"the latest purchase request is inquiring, created 2026-11-22T01:01:00Z before the window" +
				", not older than the order"},
		},
		"placed before the window, and nothing reached Connect": {
			at("22 01:00"), never, nil, failure.UnknownCause,
			[]string{"Connect has no request for it",
				"without a request it was not waiting for one when the window started"},
		},
		"placed before the window, and only an older order's request": {
			at("22 01:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("20 09:00"), at("20 09:10"))},
			failure.UnknownCause,
			[]string{
				"the latest purchase request is approved, created 2026-11-20T09:00:00Z before the window, older than the order",
				"without a request it was not waiting for one when the window started",
			},
		},
		"placed before the window, and it was over before": {
			at("22 01:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("22 01:01"), at("22 01:20"))},
			failure.UnknownCause,
			[]string{
				"the latest purchase request is approved, created 2026-11-22T01:01:00Z before the window, not older than the order",
				"its request was over before the window started, so it no longer waited for it",
			},
		},
		"placed before the window, and it was over too shortly before to have been asked for": {
			at("22 01:00"), never, []connect.LatestRequest{request(connect.StatusApproved, at("22 01:01"), at("22 01:58"))},
			failure.Likely,
			[]string{"the latest purchase request is approved, created 2026-11-22T01:01:00Z before the window" +
				", not older than the order"},
		},
		"outside all windows nothing follows": {
			at("24 12:00"), never, nil, failure.Unrelated,
			[]string{"Connect has no request for it"},
		},
		"a request that tells no time": {
			at("22 03:00"), never, []connect.LatestRequest{request(connect.StatusPending, never, never)}, failure.Caused,
			[]string{"the latest purchase request is pending, possibly older than the order"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &commerce.Order{ID: "1", PlacedAt: test.placed, FailedAt: test.failed, Failure: failed(textTransient)}
			a := failure.NewAttributor(failure.AttributorConfig{Calendar: nights(t)})
			got := attributeWith(a, o, test.requests)
			var says []string
			for _, e := range got.Evidence {
				if e.Kind == "request" {
					says = append(says, e.Text)
				}
			}
			require.Equal(t, test.says, says)
			require.Equal(t, test.want, got.Verdict)
			require.Equal(t, got.Verdict == failure.Caused || got.Verdict == failure.Likely, got.WindowID != "")
		})
	}
}

func attributeWith(a *failure.Attributor, o *commerce.Order, requests []connect.LatestRequest) failure.Attribution {
	f := a.Attribute(o)
	f.ApplyRequests(requests)
	return f.Attribution
}

func rank(v failure.Verdict) int {
	return map[failure.Verdict]int{failure.Unrelated: 0, failure.UnknownCause: 1, failure.Likely: 2, failure.Caused: 3}[v]
}

func TestRequestsAndRatesNeverStrengthenAVerdict(t *testing.T) {
	t.Parallel()
	cal := lookedAt(t)
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.Custom(func(t *rapid.T) time.Time {
			return at("21 00:00").Add(time.Duration(rapid.IntRange(0, 5*24*60).Draw(t, "minute")) * time.Minute)
		})
		rates, err := failure.NewBaseline(at("20 00:00"), at("27 00:00"), nil)
		require.NoError(t, err)
		order := func() *commerce.Order {
			return &commerce.Order{
				ID: "1", VendorAccountID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "vendor"),
				PlacedAt: instant.Draw(t, "placed"),
				FailedAt: rapid.SampledFrom([]time.Time{{}, instant.Draw(t, "failed")}).Draw(t, "told"),
				Failure: failed(rapid.SampledFrom([]string{textTransient, textPermanent, textProvisioned, textOther, ""}).Draw(t,
					"text")),
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "others") {
			rates.Add(order())
		}
		o := order()
		var requests []connect.LatestRequest
		for range rapid.IntRange(0, 2).Draw(t, "requests") {
			status := rapid.SampledFrom([]connect.RequestStatus{connect.StatusPending, connect.StatusApproved,
				connect.StatusFailed}).Draw(t, "status")
			requests = append(requests, request(status, instant.Draw(t, "created"), instant.Draw(t, "updated")))
		}
		m := failure.Margins{Now: instant.Draw(t, "now")}
		plain := attribute(o, cal, m)
		a := failure.NewAttributor(failure.AttributorConfig{Calendar: cal, Margins: m, Baseline: rates})
		full := attributeWith(a, o, requests)
		require.Equal(t, full, attributeWith(a, o, requests), "it is pure")
		require.LessOrEqual(t, rank(full.Verdict), rank(plain.Verdict))
		require.GreaterOrEqual(t, rank(full.Verdict), min(rank(plain.Verdict), rank(failure.UnknownCause)))
		require.Equal(t, plain.Evidence, full.Evidence[:len(plain.Evidence)])
		if full.Class == failure.Permanent || full.Class == failure.AlreadyProvisioned {
			require.Equal(t, failure.Unrelated, full.Verdict)
		}
		require.Equal(t, full.Verdict == failure.Caused || full.Verdict == failure.Likely, full.WindowID != "")
	})
}
