package resubmit

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// lastPoll is how long before a window a request must have been over for its order
// to have learned that before the window: the connector asks every 60 to 119 s
// (facts/commerce.md 6.2), here twice.
const lastPoll = 4 * time.Minute

// AttributeAsked is [Attributor.Attribute] with what Connect answered about the
// order: the newest request of each of its assets, as [RequestFinder] finds them;
// none says that Connect has none. Do not call it with an answer that is not whole.
//
// That a request was made inside a window proves nothing by itself, and that
// there is none fits a failure before or in the window (facts/connect.md 7.3), so
// requests only ever weaken a verdict, by one step:
//
//   - the order was placed in the window, when it failed is not known, and Connect
//     took its request in the window or later: its first call did not fail
//   - the order was placed before the window, and Connect has no request of it, so
//     that it did not wait for one; or its request was over before the window began
//
// A request that was last touched before the order was placed is an older order's.
func (a *Attributor) AttributeAsked(o *commerce.Order, requests []connect.LatestRequest) Attribution {
	f := a.find(o)
	f.ask(o, requests)
	return f.Attribution
}

// ask adds to the evidence what Connect has.
func (f *finding) ask(o *commerce.Order, requests []connect.LatestRequest) {
	f.hear(o, requests)
	if f.Verdict != Caused && f.Verdict != Likely {
		return
	}
	if why := f.contradicted(ownOf(o, requests)); why != "" {
		f.weaken()
		f.Evidence = append(f.Evidence, Evidence{Kind: "request", Text: why, Ref: f.window.ID})
	}
}

// hear writes down each request, or that there is none.
func (f *finding) hear(o *commerce.Order, requests []connect.LatestRequest) {
	if len(requests) == 0 {
		f.Evidence = append(f.Evidence, Evidence{Kind: "request", Text: "Connect has no request for it"})
	}
	for i := range requests {
		r := &requests[i].Request
		f.Evidence = append(f.Evidence, Evidence{
			Kind: "request", Text: requestText(r, o.PlacedAt) + f.beside(r), Ref: r.ID, At: requestTime(r).Round(0).UTC(),
		})
	}
}

// ownOf are the requests that are not an older order's.
func ownOf(o *commerce.Order, requests []connect.LatestRequest) []connect.LatestRequest {
	own := make([]connect.LatestRequest, 0, len(requests))
	for _, n := range requests {
		if !isOlder(&n.Request, o.PlacedAt) {
			own = append(own, n)
		}
	}
	return own
}

// contradicted says why the requests speak against the window, or "".
func (f *finding) contradicted(own []connect.LatestRequest) string {
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
		return r.Status.Final() && !requestTime(r).IsZero() && requestTime(r).Before(span.Start.Add(-lastPoll))
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
func (f *finding) beside(r *connect.Request) string {
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
	case placed.IsZero() || requestTime(r).IsZero():
		return text + ", perhaps older than the order"
	case isOlder(r, placed):
		return text + ", older than the order"
	default:
		return text + ", not older than the order"
	}
}
