package failure

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// pollDelay is how long after a request is over its order knows it at the latest: twice the connector's polling
// interval of 60 to 119 s (commerce/WIRE.md#6.2).
const pollDelay = 4 * time.Minute

// ApplyRequests adds the order's latest requests in Connect to the evidence, and lowers the verdict by one step if
// they contradict it. Pass the latest request of each of the order's assets; none means that Connect has none.
// If Connect's answer is incomplete, use [Finding.AddRequestEvidence] instead.
//
// A request created inside a window proves nothing, and a missing request fits a failure before or in the window
// (inferred, connect/WIRE.md#7.3), so requests only ever weaken a verdict:
//
//   - The order was placed in the window, the time of its failure is unknown, and Connect accepted its request in the
//     window or later: its first call did not fail.
//   - The order was placed before the window, and Connect has no request for it, so it was not waiting for one; or its
//     request was over before the window started.
//
// A request that last changed before the order was placed belongs to an older order.
func (f *Finding) ApplyRequests(requests []connect.LatestRequest) {
	f.AddRequestEvidence(requests)
	if f.Verdict != Caused && f.Verdict != Likely {
		return
	}
	if why := f.contradiction(requests); why != "" {
		f.weaken()
		f.add("request", why, f.window.ID, time.Time{})
	}
}

// AddRequestEvidence adds the order's requests to the evidence and keeps the verdict.
func (f *Finding) AddRequestEvidence(requests []connect.LatestRequest) {
	if len(requests) == 0 {
		f.add("request", "Connect has no request for it", "", time.Time{})
	}
	for i := range requests {
		r := &requests[i].Request
		f.add("request", f.requestText(r), r.ID, RequestChangedAt(r))
	}
}

// contradiction says why the requests contradict the window, or "".
func (f *Finding) contradiction(requests []connect.LatestRequest) string {
	if !f.onlyPlaced() {
		return ""
	}
	start := f.window.Span().Start
	own, over, later := 0, 0, 0 // requests of this order, those over before the window, those created after its start
	for i := range requests {
		r := &requests[i].Request
		if RequestPredatesOrder(r, f.order.PlacedAt) {
			continue
		}
		own++
		if changed := RequestChangedAt(r); r.Status.Final() && !changed.IsZero() && changed.Before(start.Add(-pollDelay)) {
			over++
		}
		if !r.Created.IsZero() && !r.Created.Before(start) {
			later++
		}
	}
	switch {
	case f.position == shortlyBefore && own == 0:
		return "without a request it was not waiting for one when the window started"
	case f.position == shortlyBefore && over == own:
		return "its request was over before the window started, so it no longer waited for it"
	case f.position != shortlyBefore && own > 0 && later == own:
		return "Connect accepted its request, so its first call did not fail because of the window"
	default:
		return ""
	}
}

// requestText describes a request, without its id and the time of its last change, which the evidence has apart.
func (f *Finding) requestText(r *connect.Request) string {
	text, placed := "the latest "+string(r.Type)+" request is "+string(r.Status), f.order.PlacedAt
	if !r.Created.IsZero() {
		text += ", created " + r.Created.UTC().Format(time.RFC3339) + f.besideWindow(r.Created)
	}
	switch {
	case placed.IsZero() || RequestChangedAt(r).IsZero():
		return text + ", possibly older than the order"
	case RequestPredatesOrder(r, placed):
		return text + ", older than the order"
	default:
		return text + ", not older than the order"
	}
}

func (f *Finding) besideWindow(created time.Time) string {
	switch span := f.window.Span(); {
	case f.window.ID == "":
		return ""
	case created.Before(span.Start):
		return " before the window"
	case span.Contains(created):
		return " in the window, which proves nothing"
	default:
		return " after the window"
	}
}

// MaxClockSkew is the largest assumed difference between the clocks of Commerce and Connect (inferred).
const MaxClockSkew = 10 * time.Minute

// RequestChangedAt returns when a request last changed, or was created; zero if neither is known.
func RequestChangedAt(r *connect.Request) time.Time {
	if r.Updated.IsZero() {
		return r.Created
	}
	return r.Updated
}

// RequestPredatesOrder reports whether a request is so old that it belongs to an earlier order: it last changed more
// than [MaxClockSkew] before the order was placed. It returns false if one of the times is zero.
func RequestPredatesOrder(r *connect.Request, placed time.Time) bool {
	changed := RequestChangedAt(r)
	return !placed.IsZero() && !changed.IsZero() && changed.Before(placed.Add(-MaxClockSkew))
}
