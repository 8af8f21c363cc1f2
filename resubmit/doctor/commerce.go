package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// read is how many orders are read one by one.
const read = 3

// commerce checks Commerce, and returns subscriptions of completed orders.
func (x *examination) commerce(ctx context.Context) (subscriptions []string) {
	const address, login = "-commerce (commerce.url)", "the COMMERCE_ variables"
	orders, others, err := x.list(ctx, commerce.Query{Statuses: []commerce.Status{commerce.StatusProvisioningFailed}})
	failed := len(orders)
	if err == nil && failed == 0 && x.Systems.Capabilities.Lists {
		orders, _, err = x.list(ctx, commerce.Query{})
	}
	if err != nil && others == 0 {
		x.refused(x.Wire, address, login, x.facts.access, err)
		return nil
	}
	x.ok("access", "%s can be listed, %d of them failed", text.Orders(len(orders)), failed)
	if others > 0 {
		x.add("filter", Differs, x.facts.list, "nothing: the client leaves them out and plans count them; it costs calls",
			"asked for failed orders, it also returned %s with another status", text.Orders(others))
	} else if x.Systems.Capabilities.Lists && failed > 0 {
		x.ok("filter", "only orders with the status asked for were returned")
	}
	x.pages(x.Wire.since(0), x.facts.list)
	x.sorting(orders)
	if len(orders) == 0 {
		x.add("fields", Note, x.facts.fields, "run it again when there are orders; with -via billing give -ids",
			"there is no order to look at")
	} else {
		x.orders(ctx, orders)
	}
	x.clock(x.Wire)
	x.add("push", Note, "commerce/WIRE.md#8.2",
		"begin with the canary, which is the default: its first step is one order of each group",
		"whether this user may resubmit orders shows only the first push; nothing was pushed")
	if !x.Systems.Capabilities.Lists {
		return nil
	}
	completed, _, _ := x.list(ctx, commerce.Query{Statuses: []commerce.Status{commerce.StatusCompleted}})
	for _, o := range completed { // after an error there are fewer
		subscriptions = append(subscriptions, o.SubscriptionIDs...)
	}
	slices.Sort(subscriptions)
	return slices.Compact(subscriptions)
}

// list lists a sample, and counts the orders that do not match.
func (x *examination) list(ctx context.Context, q commerce.Query) (orders []*commerce.Order, others int, err error) {
	q.Limit, q.OnMismatch = x.Sample, func(*commerce.Order) { others++ }
	for o, err := range x.Systems.Lister.Orders(ctx, q) {
		if err != nil {
			return orders, others, err
		}
		orders = append(orders, o)
	}
	return orders, others, nil
}

// pages compares the pages with what was asked for.
func (x *examination) pages(answers []answer, fact string) {
	lists := make(map[string][]answer)
	pages, asked, most := 0, 0, 0
	for _, a := range answers {
		if a.list && a.asked > 1 {
			lists[a.of] = append(lists[a.of], a)
			pages, asked, most = pages+1, max(asked, a.asked), max(most, len(a.rows))
		}
	}
	cut, full := 0, 0
	for _, list := range lists {
		n, rows := followed(list)
		cut, full = cut+n, max(full, rows)
	}
	switch {
	case most == 0:
	case most > asked:
		x.add("paging", Differs, fact, "nothing, unless lists are very long: the client reads what it gets",
			"a page has %d rows, although %d were asked for", most, asked)
	case full < asked && cut > 1:
		x.add("paging", Differs, fact, "nothing: the client reads until a page has nothing new; it costs calls",
			"no page has more than %d rows, although %d were asked for", full, asked)
	default:
		x.ok("paging", "pages of at most %d rows fit together; there were %d", asked, pages)
	}
}

// followed returns how many pages of a list another one with new rows followed, and the most rows of one. The other
// pages say nothing about the size of a page: a client reads the end of a list more than once.
func followed(list []answer) (pages, most int) {
	seen, before := make(map[string]bool), 0
	for i, a := range list {
		fresh := false
		for _, row := range a.rows {
			fresh = fresh || !seen[string(row)]
			seen[string(row)] = true
		}
		if i > 0 && fresh {
			pages, most = pages+1, max(most, before)
		}
		before = len(a.rows)
	}
	return pages, most
}

// sorting checks that the oldest order is the first one.
func (x *examination) sorting(orders []*commerce.Order) {
	if !x.Systems.Capabilities.Lists || len(orders) < 2 {
		return
	}
	var last time.Time
	for i, o := range orders {
		if !o.PlacedAt.IsZero() && o.PlacedAt.Before(last) {
			x.add("sorting", Differs, x.facts.list, `configure "sortLists": true; in the library resubmit.Sorted`,
				"lists are not sorted by the time of placing: %s is older than %s before it", o.Label(), orders[i-1].Label())
			return
		}
		last = o.PlacedAt
	}
	x.ok("sorting", "the oldest order is the first one")
}

// orders checks the fields of orders.
func (x *examination) orders(ctx context.Context, listed []*commerce.Order) {
	var whole []*commerce.Order
	failed := slices.DeleteFunc(slices.Clone(listed), func(o *commerce.Order) bool {
		return o.Status != commerce.StatusProvisioningFailed
	})
	for _, o := range slices.Concat(failed, listed)[:min(read, len(listed))] {
		one, err := x.Systems.Reader.Order(ctx, o.ID)
		if err != nil {
			x.add("read", Broken, x.facts.fields, "check that the user may read single orders",
				"the order %s is listed but cannot be read: %v", o.Label(), err)
			return
		}
		whole = append(whole, one)
	}
	x.ok("read", "%s can be read by id", text.Orders(len(whole)))
	all := slices.Concat(listed, whole)
	x.problems(all)
	x.missing(all)
	if len(failed) > 0 {
		x.failures(whole)
	}
}

// problems reports fields that could not be read.
func (x *examination) problems(orders []*commerce.Order) {
	n, first := 0, ""
	for _, o := range orders {
		if len(o.Problems) > 0 {
			if n++; first == "" {
				first = o.Label() + ": " + o.Problems[0]
			}
		}
	}
	if n > 0 {
		x.add("fields", Differs, x.facts.fields, customFields, "%d of %d orders have a field that cannot be read, such as %s",
			n, len(orders), first)
	}
}

const customFields = "in the library WithCustomFields of the client reads other names; an order without is never " +
	"resubmitted automatically, or not found in Connect"

// missing reports fields that no order has, with the names that there are.
func (x *examination) missing(orders []*commerce.Order) {
	var names []string
	for _, f := range []struct {
		name string
		in   func(*commerce.Order) bool
	}{
		{"number", func(o *commerce.Order) bool { return o.Number != "" }},
		{"type", func(o *commerce.Order) bool { return o.Type != "" }},
		{"time of placing", func(o *commerce.Order) bool { return !o.PlacedAt.IsZero() }},
		{"total", func(o *commerce.Order) bool { return !o.Total.IsZero() }},
		{"customer", func(o *commerce.Order) bool { return o.CustomerID+o.CustomerName != "" }},
		{"subscription or tenant", func(o *commerce.Order) bool { return len(o.SubscriptionIDs) > 0 || o.TenantID != "" }},
	} {
		if !slices.ContainsFunc(orders, f.in) {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		x.ok("fields", "orders have number, type, time, total, customer and subscription")
		return
	}
	x.add("fields", Differs, x.facts.fields, customFields+`; without subscriptions, "ignoreConnect": true plans without `+
		"Connect", "no order has: %s; the fields are %s", strings.Join(names, ", "), keys(orders))
}

// keys returns the names of the fields that orders have.
func keys(orders []*commerce.Order) string {
	all := make(map[string]json.RawMessage)
	for _, o := range orders {
		_ = json.Unmarshal(o.Raw, &all) // another form has no names
	}
	return text.Short(strings.Join(slices.Sorted(maps.Keys(all)), ", "))
}

// failures checks what failed orders say about themselves.
func (x *examination) failures(orders []*commerce.Order) {
	caps, reasons, offers := x.Systems.Capabilities, 0, 0
	var offered []string
	for _, o := range orders {
		if o.Failure.Message() != "" {
			reasons++
		}
		if slices.ContainsFunc(x.Targets, o.Offers) {
			offers++
		}
		for _, t := range o.Transitions {
			offered = append(offered, string(t.To))
		}
	}
	switch {
	case !caps.Failure:
		x.add("reasons", Note, x.facts.fields, "name the orders, or let Connect decide",
			"this API does not say why an order failed")
	case reasons == 0:
		x.add("reasons", Differs, x.facts.fields,
			"without a reason every failure is unclassified: name the orders, or add rules",
			"no failed order says why; the fields are %s", keys(orders))
	default:
		x.ok("reasons", "%d of %d failed orders say why", reasons, len(orders))
	}
	slices.Sort(offered)
	switch {
	case !caps.Transitions:
		x.add("transitions", Note, "commerce/WIRE.md#5.4", `configure "policy.targets"`, "this API does not say which "+
			"transitions an order offers; %s are tried in turn", fmt.Sprint(x.Targets))
	case offers == 0:
		x.add("transitions", Differs, "commerce/WIRE.md#5.4", `configure the transition that resubmits an order as `+
			`"policy.targets"`, "no failed order offers one of %s, but: %s", fmt.Sprint(x.Targets),
			text.Short(strings.Join(slices.Compact(offered), ", ")))
	default:
		x.ok("transitions", "%d of %d failed orders offer a transition that resubmits them", offers, len(orders))
	}
}
