package failure

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// lastPoll is how long before a window a request must have been over for its order
// to have learned that before the window: the connector asks every 60 to 119 s
// (commerce/WIRE.md#6.2), here twice.
const lastPoll = 4 * time.Minute

// AttributeAsked is [Attributor.Attribute] with what Connect answered about the
// order: the newest request of each of its assets, as [resubmit.RequestFinder] finds them;
// none says that Connect has none. Do not call it with an answer that is not whole.
//
// That a request was made inside a window proves nothing by itself, and that
// there is none fits a failure before or in the window (inferred, connect/WIRE.md#7.3), so requests
// only ever weaken a verdict, by one step:
//
//   - the order was placed in the window, when it failed is not known, and Connect
//     took its request in the window or later: its first call did not fail
//   - the order was placed before the window, and Connect has no request of it, so
//     that it did not wait for one; or its request was over before the window began
//
// A request that was last touched before the order was placed is an older order's.
func (a *Attributor) AttributeAsked(o *commerce.Order, requests []connect.LatestRequest) Attribution {
	f := a.Begin(o)
	f.Weigh(o, requests)
	return f.Attribution
}

// Weigh adds the newest requests of the order to the evidence, and weakens the verdict by one
// step if they contradict it, as [Attributor.AttributeAsked] says.
func (f *Finding) Weigh(o *commerce.Order, requests []connect.LatestRequest) {
	f.Note(o, requests)
	if f.Verdict != Caused && f.Verdict != Likely {
		return
	}
	if why := f.contradicted(ownOf(o, requests)); why != "" {
		f.weaken()
		f.Evidence = append(f.Evidence, Evidence{Kind: "request", Text: why, Ref: f.window.ID})
	}
}

// Note adds each request to the evidence, or that there is none. The verdict stays.
func (f *Finding) Note(o *commerce.Order, requests []connect.LatestRequest) {
	if len(requests) == 0 {
		f.Evidence = append(f.Evidence, Evidence{Kind: "request", Text: "Connect has no request for it"})
	}
	for i := range requests {
		r := &requests[i].Request
		f.Evidence = append(f.Evidence, Evidence{
			Kind: "request", Text: requestText(r, o.PlacedAt) + f.beside(r), Ref: r.ID, At: RequestTime(r).Round(0).UTC(),
		})
	}
}

// ownOf are the requests that are not an older order's.
func ownOf(o *commerce.Order, requests []connect.LatestRequest) []connect.LatestRequest {
	own := make([]connect.LatestRequest, 0, len(requests))
	for _, n := range requests {
		if !OlderThan(&n.Request, o.PlacedAt) {
			own = append(own, n)
		}
	}
	return own
}

// contradicted says why the requests speak against the window, or "".
func (f *Finding) contradicted(own []connect.LatestRequest) string {
	span := f.window.Span()
	every := func(holds func(*connect.Request) bool) bool {
		for i := range own {
			if !holds(&own[i].Request) {
				return false
			}
		}
		return len(own) > 0
	}
	switch {
	case !f.placed:
		return "" // it is known when it failed
	case f.where == shortlyBefore && len(own) == 0:
		return "without a request of its own it did not wait for one when the window began"
	case f.where == shortlyBefore && every(func(r *connect.Request) bool {
		return r.Status.Final() && !RequestTime(r).IsZero() && RequestTime(r).Before(span.Start.Add(-lastPoll))
	}):
		return "the request was over before the window began, so that the order no longer waited for it"
	case f.where != shortlyBefore && every(func(r *connect.Request) bool {
		return !r.Created.IsZero() && !r.Created.Before(span.Start)
	}):
		return "Connect took its request, so that its first call did not fail for the window"
	default:
		return ""
	}
}

// beside says how the making of a request lies to the window, where both are known.
func (f *Finding) beside(r *connect.Request) string {
	span := f.window.Span()
	switch {
	case f.window.ID == "" || r.Created.IsZero():
		return ""
	case r.Created.Before(span.Start):
		return ", made before the window"
	case span.Contains(r.Created):
		return ", made in the window, which proves nothing by itself"
	default:
		return ", made after the window"
	}
}

// requestText is what a newest request tells about an order; its id and when it
// changed last stand beside it.
func requestText(r *connect.Request, placed time.Time) string {
	text := "the newest " + string(r.Type) + " request is " + string(r.Status)
	if !r.Created.IsZero() {
		text += ", created " + r.Created.UTC().Format(time.RFC3339)
	}
	switch {
	case placed.IsZero() || RequestTime(r).IsZero():
		return text + ", perhaps older than the order"
	case OlderThan(r, placed):
		return text + ", older than the order"
	default:
		return text + ", not older than the order"
	}
}

// ClockSkew is how far the clocks of Commerce and Connect may be apart (inferred). A request
// that was last touched longer than that before its order was placed belongs to an older
// order.
const ClockSkew = 10 * time.Minute

// RequestTime is when a request changed last, or was made; zero if neither is known.
func RequestTime(r *connect.Request) time.Time {
	if r.Updated.IsZero() {
		return r.Created
	}
	return r.Updated
}

// OlderThan reports whether a request was last touched before an order was placed, so that it
// is not the order's. It reports false where a time is not known.
func OlderThan(r *connect.Request, placed time.Time) bool {
	touched := RequestTime(r)
	return !placed.IsZero() && !touched.IsZero() && touched.Before(placed.Add(-ClockSkew))
}
