package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// connect checks Connect. subscriptions are some of Commerce.
func (x *examination) connect(ctx context.Context, subscriptions []string) {
	const address, login = "-connect (connect.url)", "CONNECT_API_KEY"
	if !x.isConnect(ctx, address) {
		return
	}
	if err := x.Connect.CheckAccess(ctx); err != nil {
		x.refused(x.ConnectWire, address, login, "connect/WIRE.md#1", err)
		return
	}
	x.ok("access", "the key is valid and may read requests")
	x.requests(ctx)
	x.hubs(ctx)
	if len(subscriptions) > 0 {
		x.linked(ctx, subscriptions[:min(len(subscriptions), x.Sample)])
	}
	x.clock(x.ConnectWire)
}

// isConnect probes Connect without the key.
func (x *examination) isConnect(ctx context.Context, address string) bool {
	p, err := x.Connect.Probe(ctx)
	switch err = cmp.Or(err, p.Err); {
	case p.Class == connect.ClassUp && p.Version != "":
		x.ok("address", "Connect %s answers", p.Version)
		return true
	case p.Class == connect.ClassUp:
		x.add("address", Differs, "connect/WIRE.md#0.3", "find out what is between: without the header a maintenance cannot "+
			"be told from an answer of Connect", "the answer has no Connect-Version: a proxy removes it, or it is not Connect")
		return true
	case p.Class == connect.ClassMaintenanceSuspected:
		x.add("address", Broken, "connect/WIRE.md#0.2", "run it again when Connect is up", "Connect seems to be in "+
			"maintenance: %v", err)
	case p.Class == connect.ClassUnreachable || p.Class == "":
		x.add("address", Broken, "", "check "+address+", the network, proxies and certificates", "nothing answers: %v", err)
	default:
		x.add("address", Broken, "connect/WIRE.md#0.3", "check "+address, "something else answers than Connect: %v", err)
	}
	return false
}

// requests checks lists of requests.
func (x *examination) requests(ctx context.Context) {
	const facts, fields = "connect/WIRE.md#4", "connect/WIRE.md#2.2"
	before := x.ConnectWire.count()
	var last time.Time
	var found []*connect.Request
	sorted := true
	for r, err := range x.Connect.Requests(ctx, connect.RequestQuery{
		Types: []connect.RequestType{connect.TypePurchase}, Limit: x.Sample,
	}) {
		if err != nil {
			x.add("requests", Differs, "connect/WIRE.md#2.3", "send the error to your contact at CloudBlue; "+
				`"ignoreConnect": true plans without Connect`, "requests cannot be listed: %v", err)
			return
		}
		sorted, last = sorted && !r.Created.Before(last), r.Created
		found = append(found, r)
	}
	answers := x.ConnectWire.since(before)
	x.pages(answers, facts)
	others := 0
	for _, a := range answers {
		for _, row := range a.rows {
			var r struct{ Type string }
			if json.Unmarshal(row, &r) == nil && r.Type != string(connect.TypePurchase) {
				others++
			}
		}
	}
	if others > 0 {
		x.add("filter", Differs, "connect/WIRE.md#14.3", "nothing: the client leaves them out; it costs calls",
			"asked for purchases, it also returned %d other requests", others)
	}
	if !sorted {
		x.add("sorting", Differs, "connect/WIRE.md#3", "nothing: the newest request is found by its time; it costs calls",
			"requests are not sorted by the time of their creation")
	}
	linked := 0
	for _, r := range found {
		if r.Asset.ExternalID != "" || r.Asset.ExternalUID != "" {
			linked++
		}
	}
	if linked == 0 && len(found) > 0 {
		x.add("fields", Differs, fields, `"ignoreConnect": true plans without Connect`,
			"no request has asset.external_id or asset.external_uid, by which the order is found")
	}
	if len(found) == 0 {
		x.add("requests", Note, fields,
			"run it again when there are some, or check that the key is that of the right account",
			"there is no purchase to look at")
		return
	}
	x.ok("requests", "purchases can be listed: %d were read", len(found))
}

// hubs looks for the Commerce systems of Connect.
func (x *examination) hubs(ctx context.Context) {
	const fact = "connect/WIRE.md#0.7"
	var newest time.Time
	n := 0
	for h, err := range x.Connect.Hubs(ctx, "") {
		if errors.Is(err, connect.ErrForbidden) {
			x.add("hubs", Note, fact, "nothing, or give the key that permission",
				"the key may not read hubs, so whether Commerce reaches Connect again is not known from them")
			return
		}
		if err != nil {
			x.add("hubs", Note, fact, "nothing: hubs are an additional sign only", "hubs cannot be read: %v", err)
			return
		}
		if n++; h.LastHealthCheck.After(newest) {
			newest = h.LastHealthCheck
		}
	}
	if newest.IsZero() || time.Since(newest) > time.Hour {
		x.add("hubs", Note, fact, "nothing, if your connector does not report: it is an additional sign",
			"none of %d hubs has reported within an hour", n)
		return
	}
	x.ok("hubs", "a Commerce has reported %v ago", time.Since(newest).Round(time.Second))
}

// linked looks for the subscriptions of Commerce in Connect.
func (x *examination) linked(ctx context.Context, subscriptions []string) {
	n, err := x.Connect.CountRequests(ctx, connect.RequestQuery{Subscriptions: subscriptions})
	switch {
	case err != nil:
		x.add("subscriptions", Differs, "connect/WIRE.md#8", "send the error to your contact at CloudBlue",
			"the subscriptions of orders cannot be looked up: %v", err)
	case n == 0:
		x.add("subscriptions", Differs, "connect/WIRE.md#8", "check that -connect and CONNECT_API_KEY are those of the "+
			"account that this Commerce sells for, and which field has the subscription",
			"Connect has no request for any of %d subscriptions of completed orders", len(subscriptions))
	default:
		x.ok("subscriptions", "Connect has %d requests for %d subscriptions of completed orders", n, len(subscriptions))
	}
}
