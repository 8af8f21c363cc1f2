package filter_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// night is when the maintenance of the tests begins; it lasts two hours.
var night = time.Date(2026, 11, 14, 22, 0, 0, 0, time.UTC)

func money(amount, currency string) commerce.Money {
	return commerce.Money{Amount: decimal.RequireFromString(amount), Currency: currency}
}

func failedWith(text string) commerce.Failure {
	return commerce.Failure{Messages: map[string]string{"en_US": text}}
}

// acme is an order that failed in the maintenance.
func acme() *commerce.Order {
	return &commerce.Order{
		ID: "32542b3c-6f91-4037-abe5-ecf5f0752eef", BillingID: "1000027", Number: "SO000027",
		Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		PlacedAt: night.Add(-time.Hour), FailedAt: night.Add(time.Hour),
		VendorAccountID: "1000002", Channel: commerce.ChannelReseller,
		CustomerID: "1000031", CustomerName: "Acme GmbH",
		SubscriptionIDs: []string{"1000101", "1000102"}, TenantID: "88a64097",
		Total:   money("12.50", "USD"),
		Failure: failedWith("Order failed. Reason: 502 Bad Gateway."),
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	untold := func() *commerce.Order { return &commerce.Order{ID: "1"} }
	notToldWhenItFailed := func() *commerce.Order {
		o := acme()
		o.FailedAt = time.Time{}
		return o
	}
	window := maintenance.Window{ID: "W1", Start: night, End: night.Add(2 * time.Hour)}
	cancelled := window
	cancelled.Cancelled = true
	endedEarly := window
	endedEarly.ActualEnd = night.Add(time.Minute)
	stillOpen := window
	stillOpen.ActualStart = night.Add(-2 * time.Hour)
	waited := func(change func(*commerce.Order)) *commerce.Order {
		o := notToldWhenItFailed()
		change(o)
		return o
	}
	sameID := maintenance.Window{ID: "W1", Start: night.AddDate(0, 0, 7), End: night.AddDate(0, 0, 7).Add(time.Hour)}
	affected := filter.AffectedBy(failure.AttributorConfig{}, cancelled, window, sameID)
	affectedAfter := func(start, end time.Time) filter.Filter {
		earlier, err := maintenance.NewCalendar([]maintenance.Window{{ID: "W0", Start: start, End: end}})
		require.NoError(t, err)
		return filter.AffectedBy(failure.AttributorConfig{Calendar: earlier}, window)
	}
	custom, err := failure.NewClassifier(failure.Pattern{ID: "ours", Class: failure.Permanent,
		Match: []string{"bad gateway"}})
	require.NoError(t, err)

	for name, test := range map[string]struct {
		filter filter.Filter
		order  *commerce.Order
		want   bool
	}{
		"placed in the interval": {filter.PlacedBetween(night.Add(-time.Hour), night), acme(), true},
		"placed at the end is outside": {filter.PlacedBetween(night.Add(-2*time.Hour),
			night.Add(-time.Hour)), acme(), false},
		"placed with an open start":              {filter.PlacedBetween(time.Time{}, night), acme(), true},
		"placed with an open end":                {filter.PlacedBetween(night, time.Time{}), acme(), false},
		"not told when placed is in no interval": {filter.PlacedBetween(time.Time{}, night), untold(), false},
		"failed in the interval":                 {filter.FailedBetween(night, night.Add(2*time.Hour)), acme(), true},
		"placed before the interval it failed in": {filter.FailedBetween(night, night.Add(2*time.Hour)),
			notToldWhenItFailed(), false},
		"the time of placing stands in for the failure": {filter.FailedBetween(night.Add(-time.Hour), night),
			notToldWhenItFailed(), true},
		"failed during the window":                   {filter.FailedDuring(cancelled, window), acme(), true},
		"failed after the window ended early":        {filter.FailedDuring(endedEarly), acme(), false},
		"failed during a window without a known end": {filter.FailedDuring(stillOpen), acme(), true},
		"affected, as it failed during a window":     {affected, acme(), true},
		"affected, as it waited when it began":       {affected, notToldWhenItFailed(), true},
		"affected, as it waited for the second window": {affected,
			waited(func(o *commerce.Order) { o.PlacedAt = sameID.Start.Add(-23 * time.Hour) }), true},
		"placed too long before a window to be affected": {affected,
			waited(func(o *commerce.Order) { o.PlacedAt = night.Add(-25 * time.Hour) }), false},
		"placed before a window, and rejected by the vendor": {affected,
			waited(func(o *commerce.Order) { o.Failure = failedWith("Invalid parameter: domain") }), false},
		"placed in a window, and rejected by the vendor": {affected,
			waited(func(o *commerce.Order) {
				o.PlacedAt, o.Failure = night.Add(time.Minute), failedWith("Invalid parameter: domain")
			}), true},
		"failed before a window": {affected, waited(func(o *commerce.Order) { o.FailedAt = night.Add(-time.Minute) }), false},
		"failed after a window": {affected,
			waited(func(o *commerce.Order) { o.FailedAt = night.Add(2 * time.Hour) }), false},
		"waited, but for an earlier window": {affectedAfter(night.Add(-4*time.Hour), night.Add(-150*time.Minute)),
			waited(func(o *commerce.Order) { o.PlacedAt = night.Add(-5 * time.Hour) }), false},
		"failed in an earlier window": {affectedAfter(night.Add(-4*time.Hour), night.Add(-150*time.Minute)),
			waited(func(o *commerce.Order) { o.PlacedAt = night.Add(-3 * time.Hour) }), false},
		"failed in the part of the window that was handled": {affectedAfter(night.Add(-4*time.Hour), night.Add(time.Hour)),
			waited(func(o *commerce.Order) { o.PlacedAt = night.Add(-3 * time.Hour) }), false},
		"waited after an earlier window": {affectedAfter(night.Add(-4*time.Hour), night.Add(-150*time.Minute)),
			notToldWhenItFailed(), true},
		"failed in a window that has no end yet": {
			filter.AffectedBy(failure.AttributorConfig{}, maintenance.Window{ID: "W1", Start: night}),
			notToldWhenItFailed(), true},
		"placed in the planned part of a window that ended early": {
			filter.AffectedBy(failure.AttributorConfig{}, endedEarly),
			waited(func(o *commerce.Order) { o.PlacedAt = night.Add(time.Hour) }), false},
		"waited shorter than the margin": {
			filter.AffectedBy(failure.AttributorConfig{Margins: failure.Margins{Lookback: 2 * time.Hour}}, window),
			notToldWhenItFailed(), true},
		"waited longer than the margin": {
			filter.AffectedBy(failure.AttributorConfig{Margins: failure.Margins{Lookback: time.Minute}}, window),
			notToldWhenItFailed(), false},
		"one of the types":                 {filter.Types(commerce.TypeChange, commerce.TypeSales), acme(), true},
		"none of the types":                {filter.Types(commerce.TypeChange), acme(), false},
		"the status CL is not the type CL": {filter.Statuses("CL"), &commerce.Order{Type: "CL"}, false},
		"one of the statuses":              {filter.Statuses("LO", "PF"), acme(), true},
		"one of many statuses": {filter.Statuses("1", "2", "3", "4", "5", "6", "7", "8", "9", "PF"),
			acme(), true},
		"none of many statuses": {filter.Statuses("1", "2", "3", "4", "5", "6", "7", "8", "9", "LO"),
			acme(), false},
		"a transient reason":                          {filter.MessageClass(nil, failure.Transient), acme(), true},
		"no reason is unclassified":                   {filter.MessageClass(nil, failure.Unclassified), untold(), true},
		"the classifier that was given decides":       {filter.MessageClass(custom, failure.Transient), acme(), false},
		"a verdict":                                   {filter.Verdicts(causeOf(failure.Likely), failure.Caused, failure.Likely), acme(), true},
		"another verdict":                             {filter.Verdicts(causeOf(failure.Unrelated), failure.Caused), acme(), false},
		"part of the reason in another case":          {filter.MessageLike("*bad GATEWAY*"), acme(), true},
		"a reason without stars is the whole message": {filter.MessageLike("bad gateway"), acme(), false},
		"the customer by id":                          {filter.Customers("7", "1000031"), acme(), true},
		"the customer by name in another case":        {filter.CustomerLike("ACME*"), acme(), true},
		"the vendor account":                          {filter.VendorAccounts("1000002"), acme(), true},
		"through resellers":                           {filter.Channel(commerce.ChannelReseller), acme(), true},
		"not of direct customers":                     {filter.Channel(commerce.ChannelDirect), acme(), false},
		"the channel is unknown":                      {filter.Channel(commerce.ChannelUnknown), untold(), true},
		"any of its subscriptions":                    {filter.Subscriptions("1000102"), acme(), true},
		"without subscriptions":                       {filter.Subscriptions("1000102"), untold(), false},
		"the number":                                  {filter.Numbers("SO000027"), acme(), true},
		"part of the number":                          {filter.NumberLike("SO*27"), acme(), true},
		"the case of a number counts":                 {filter.NumberLike("so*27"), acme(), false},
		"the id":                                      {filter.IDs("32542b3c-6f91-4037-abe5-ecf5f0752eef"), acme(), true},
		"the letter case of a UUID has no meaning":    {filter.IDs("32542B3C-6F91-4037-ABE5-ECF5F0752EEF"), acme(), true},
		"the letter case of another id counts":        {filter.Not(filter.Customers("A")), &commerce.Order{CustomerID: "a"}, true},
		"the billing id is another id":                {filter.IDs("1000027"), acme(), false},
		"exactly that amount":                         {filter.Total(filter.Equal, money("12.5", "USD")), acme(), true},
		"under an amount":                             {filter.Total(filter.Less, money("12.5", "USD")), acme(), false},
		"at most an amount": {filter.Total(filter.LessOrEqual, money("12.5", "USD")), acme(),
			true},
		"at least an amount":            {filter.Total(filter.GreaterOrEqual, money("12.51", "USD")), acme(), false},
		"over an amount":                {filter.Total(filter.Greater, money("12.4999", "USD")), acme(), true},
		"an amount in another currency": {filter.Total(filter.Greater, money("0", "EUR")), acme(), false},
		"no amount is not zero":         {filter.Total(filter.LessOrEqual, money("0", "USD")), untold(), false},
		"a function": {filter.Func("f",
			func(o *commerce.Order) bool { return o.Number != "" }), acme(), true},
		"everything": {filter.Everything(), untold(), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, filter.Validate(test.filter))
			require.Equal(t, test.want, test.filter.Match(test.order), test.filter)
			require.Equal(t, !test.want, filter.Not(test.filter).Match(test.order))
		})
	}
}

func TestValidateReportsInvalidArguments(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	deep := filter.Types("SO")
	for range 40 {
		deep = filter.Not(filter.And(deep, filter.Statuses("PF")))
	}
	for name, test := range map[string]struct {
		filter filter.Filter
		want   string
	}{
		"nil": {nil, "filter: the filter is empty; to select every order use everything()"},
		"no terms": {filter.And(),
			"filter: And() has no terms; to select every order use everything()"},
		"no alternatives": {filter.Or(),
			"filter: Or() has no terms; to select every order use everything()"},
		"not of nothing": {filter.Not(nil),
			"filter: the filter is empty; to select every order use everything()"},
		"an empty list": {filter.Statuses(), "filter: the list for status is empty"},
		"no verdicts":   {filter.Verdicts(causeOf("")), "filter: the list for verdict is empty"},
		"verdicts of nobody": {filter.Verdicts(nil, failure.Caused),
			"filter: verdict: there are no windows to compare with; pass the function of a failure.Attributor"},
		"an unknown verdict": {filter.Verdicts(causeOf(""), "certain"),
			`filter: unknown verdict "certain"; known are caused, likely, unrelated, unknown`},
		"no classes": {filter.MessageClass(nil), "filter: the list for class is empty"},
		"an unknown class": {filter.MessageClass(nil, "transitory"),
			`filter: unknown class "transitory" (did you mean "transient"?); known are transient, permanent, ` +
				`alreadyProvisioned, unclassified`},
		"an unknown channel": {filter.Channel("resellers"),
			`filter: unknown channel "resellers" (did you mean "reseller"?); known are direct, reseller and "" (unknown)`},
		"an empty pattern": {filter.MessageLike(""),
			"filter: the pattern for reason is empty; * matches any text"},
		"both ends open": {filter.PlacedBetween(time.Time{}, time.Time{}),
			"filter: placed: both ends are open; to select every order use everything()"},
		"an end before a start": {filter.FailedBetween(night, night.Add(-hour)),
			"filter: failed: the interval is empty: it ends at 2026-11-14T21:00:00Z and starts at 2026-11-14T22:00:00Z"},
		"an impossible year": {filter.PlacedBetween(time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Time{}), "filter: placed: the time 12026-01-01 00:00:00 +0000 UTC is out of range"},
		"no windows": {filter.FailedDuring(), "filter: FailedDuring has no window that is not cancelled"},
		"no windows that affect": {filter.AffectedBy(failure.AttributorConfig{}),
			"filter: FailedDuring has no window that is not cancelled"},
		"only cancelled windows": {filter.FailedDuring(maintenance.Window{ID: "W1", Cancelled: true}),
			"filter: FailedDuring has no window that is not cancelled"},
		"a window without start": {filter.FailedDuring(maintenance.Window{ID: "W1"}),
			`filter: the window "W1" has no start`},
		"no currency": {filter.Total(filter.Greater, money("1", "")),
			`filter: amount: "" is not a currency; use three letters, as in 100EUR`},
		"an unknown comparison": {filter.Total("ne", money("1", "EUR")),
			`filter: amount: unknown comparison "ne"`},
		"an amount that cannot be read back": {filter.Total(filter.Greater, money("1e30", "EUR")),
			"filter: amount: more than 30 digits before or after the point"},
		"a monstrous amount": {filter.Total(filter.Greater, money("1e31", "EUR")),
			"filter: amount: more than 30 digits before or after the point"},
		"a function of no name": {filter.Func("", func(*commerce.Order) bool { return true }),
			`filter: Func requires a name and a function; the name is ""`},
		"no function":         {filter.Func("f", nil), `filter: Func requires a name and a function; the name is "f"`},
		"too deep to be read": {deep, "filter: the filter is nested more than 64 levels deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, filter.Validate(test.filter), test.want)
			good := filter.Types(commerce.TypeSales)
			for _, composed := range []filter.Filter{
				filter.Not(test.filter), filter.And(good, test.filter), filter.Or(good, test.filter),
				filter.Not(filter.And(filter.Everything(), test.filter)),
			} {
				require.EqualError(t, filter.Validate(composed), test.want)
				require.False(t, composed.Match(acme()), "a mistake must not select anything")
				_, err := filter.Parse(composed.String())
				require.Error(t, err, "the text of a mistake must not be read as a filter")
			}
		})
	}
}

// anOrder draws orders from few values, so that filters match some of them.
func anOrder(t *rapid.T) *commerce.Order {
	o := &commerce.Order{
		ID:              rapid.SampledFrom(someIDs).Draw(t, "id"),
		Number:          rapid.SampledFrom(someNumbers).Draw(t, "number"),
		Type:            rapid.SampledFrom(someTypes).Draw(t, "type"),
		Status:          rapid.SampledFrom(someStatuses).Draw(t, "status"),
		PlacedAt:        someTime(t, "placed"),
		FailedAt:        someTime(t, "failed"),
		VendorAccountID: rapid.SampledFrom(someIDs).Draw(t, "vendor"),
		Channel:         rapid.SampledFrom([]commerce.Channel{"", "direct", "reseller"}).Draw(t, "channel"),
		CustomerID:      rapid.SampledFrom(someIDs).Draw(t, "customer"),
		CustomerName:    rapid.SampledFrom(someTexts).Draw(t, "customerName"),
		SubscriptionIDs: rapid.SliceOfN(rapid.SampledFrom(someIDs), 0, 2).Draw(t, "subscriptions"),
	}
	if text := rapid.SampledFrom(someTexts).Draw(t, "reason"); text != "" {
		o.Failure = failedWith(text)
	}
	if rapid.Bool().Draw(t, "has a total") {
		o.Total = money(rapid.SampledFrom(someAmounts).Draw(t, "total"),
			rapid.SampledFrom(someCurrencies).Draw(t, "currency"))
	}
	return o
}

var (
	someIDs      = []string{"", "1", "2", "a,b", `say "x"`, "null"}
	someNumbers  = []string{"SO1", "SO2", "CH1", "so1", "S*1", ""}
	someTypes    = []commerce.OrderType{"SO", "CH", "CL", ""}
	someStatuses = []commerce.Status{"PF", "LO", "CL", "CP"}
	someTexts    = []string{"", "502 Bad Gateway", "bad gateway", "Vendor has failed request: timed out",
		"Zażółć (gęślą)", "a\nb", `\*"'&|;`}
	somePatterns   = []string{"*", "*bad gateway*", "502*", "*Ż*", `*\**`, `"*`, "SO*", "*1", "*(*)", "\n*"}
	someAmounts    = []string{"0", "-1", "12.5", "12.50", "12.51", "1200", "1e3"}
	someCurrencies = []string{"USD", "EUR"}
	someOps        = []filter.Comparison{"lt", "le", "eq", "ge", "gt"}
	someClasses    = []failure.Class{failure.Transient, failure.Permanent, failure.AlreadyProvisioned,
		failure.Unclassified}
)

func someTime(t *rapid.T, label string) time.Time {
	n := rapid.IntRange(-1, 8).Draw(t, label)
	if n < 0 {
		return time.Time{}
	}
	// Steps that are no whole seconds, and a zone that is not UTC.
	return night.Add(time.Duration(n) * 700 * time.Millisecond).In(time.FixedZone("CET", 3600))
}

func some[T any](t *rapid.T, label string, from []T) []T {
	return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, label)
}

// aFilter draws any filter that can be written and read back.
func aFilter(t *rapid.T, depth int) filter.Filter {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return filter.And(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) filter.Filter { return aFilter(t, depth-1) }), 1,
				5).Draw(t, "all")...)
		case 1:
			return filter.Or(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) filter.Filter { return aFilter(t, depth-1) }), 1,
				4).Draw(t, "any")...)
		case 2:
			return filter.Not(aFilter(t, depth-1))
		}
	}
	return aLeaf(t)
}

func aLeaf(t *rapid.T) filter.Filter {
	from, to := someTime(t, "from"), someTime(t, "to")
	if from.IsZero() || !from.Before(to) {
		to = night.Add(time.Hour)
	}
	pattern := rapid.SampledFrom(somePatterns).Draw(t, "pattern")
	leaves := []func() filter.Filter{
		func() filter.Filter { return filter.Statuses(some(t, "statuses", someStatuses)...) },
		func() filter.Filter { return filter.Types(some(t, "types", someTypes)...) },
		func() filter.Filter { return filter.IDs(some(t, "ids", someIDs)...) },
		func() filter.Filter { return filter.Numbers(some(t, "numbers", someNumbers)...) },
		func() filter.Filter { return filter.NumberLike(pattern) },
		func() filter.Filter { return filter.PlacedBetween(from, to) },
		func() filter.Filter { return filter.FailedBetween(from, to) },
		func() filter.Filter {
			return filter.FailedDuring(maintenance.Window{ID: "W", Start: to, End: to.Add(1)})
		},
		func() filter.Filter { return filter.Customers(some(t, "customers", someIDs)...) },
		func() filter.Filter { return filter.CustomerLike(pattern) },
		func() filter.Filter { return filter.VendorAccounts(some(t, "vendors", someIDs)...) },
		func() filter.Filter {
			return filter.Channel(rapid.SampledFrom([]commerce.Channel{"", "direct", "reseller"}).Draw(t, "via"))
		},
		func() filter.Filter { return filter.Subscriptions(some(t, "subscriptions", someIDs)...) },
		func() filter.Filter { return filter.MessageLike(pattern) },
		func() filter.Filter { return filter.MessageClass(nil, some(t, "classes", someClasses)...) },
		func() filter.Filter {
			return filter.Total(rapid.SampledFrom(someOps).Draw(t, "op"),
				money(rapid.SampledFrom(someAmounts).Draw(t, "amount"), rapid.SampledFrom(someCurrencies).Draw(t, "currency")))
		},
		func() filter.Filter {
			return mustParse(t, rapid.SampledFrom([]string{"le", "gt"}).Draw(t,
				"bound")+"(placed,"+to.UTC().Format(time.RFC3339Nano)+")")
		},
		filter.Everything,
	}
	return rapid.SampledFrom(leaves).Draw(t, "leaf")()
}

func causeOf(v failure.Verdict) filter.VerdictFunc {
	return func(*commerce.Order) failure.Verdict { return v }
}

func mustParse(t require.TestingT, text string, opts ...filter.ParseOption) filter.Filter {
	f, err := filter.Parse(text, opts...)
	require.NoError(t, err)
	return f
}

func TestAndOrNotObeyBooleanAlgebra(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := anOrder(t)
		f, g := aFilter(t, 2), aFilter(t, 2)
		same := func(a, b filter.Filter) {
			require.NoError(t, filter.Validate(a))
			require.NoError(t, filter.Validate(b))
			require.Equal(t, a.Match(o), b.Match(o), "%s\n%s", a, b)
		}
		nothing := filter.Not(filter.Everything())
		require.Equal(t, f.Match(o) && g.Match(o), filter.And(f, g).Match(o))
		require.Equal(t, f.Match(o) || g.Match(o), filter.Or(f, g).Match(o))
		require.Equal(t, !f.Match(o), filter.Not(f).Match(o))
		same(filter.Not(filter.And(f, g)), filter.Or(filter.Not(f), filter.Not(g)))
		same(filter.Not(filter.Or(f, g)), filter.And(filter.Not(f), filter.Not(g)))
		same(filter.Not(filter.Not(f)), f)
		same(filter.And(f, filter.Everything()), f)
		same(filter.Or(f, nothing), f)
		same(filter.And(f, nothing), nothing)
		same(filter.Or(f, filter.Everything()), filter.Everything())
		same(filter.Or(f, filter.And(f, g)), f)
	})
}

func TestSplitKeepsTheMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, o := aFilter(t, 2), anOrder(t)
		cheap, rest := filter.Split(f)
		require.False(t, filter.NeedsFullOrder(cheap))
		require.Equal(t, f.Match(o), cheap.Match(o) && rest.Match(o))
		require.Equal(t, filter.NeedsFullOrder(f), rest != filter.Everything())

		// What the cheap terms say must not depend on the details.
		bare := *o
		bare.Failure, bare.SubscriptionIDs, bare.TenantID = commerce.Failure{}, nil, ""
		require.Equal(t, cheap.Match(o), cheap.Match(&bare))
	})
}

type ownFilter struct{ details bool }

func (ownFilter) Match(*commerce.Order) bool { return true }
func (ownFilter) String() string             { return "eq(number,SO000027)" }
func (f ownFilter) NeedsFullOrder() bool     { return f.details }

type plainFilter struct{ filter.Filter }

func TestNeedsFullOrder(t *testing.T) {
	t.Parallel()
	reason := filter.MessageLike("*x*")
	require.True(t, filter.NeedsFullOrder(reason))
	require.True(t, filter.NeedsFullOrder(mustParse(t, "reason=x")))
	require.True(t, filter.NeedsFullOrder(filter.Not(filter.Or(filter.Types("SO"), reason))))
	require.True(t, filter.NeedsFullOrder(filter.MessageClass(nil, failure.Transient)))
	require.True(t, filter.NeedsFullOrder(filter.Verdicts(causeOf(""), failure.Caused)))
	require.True(t, filter.NeedsFullOrder(filter.Func("f", func(*commerce.Order) bool { return true })))
	require.True(t, filter.NeedsFullOrder(plainFilter{filter.Types("SO")}), "a filter of the user's can look at anything")
	require.True(t, filter.NeedsFullOrder(filter.Subscriptions("1")))
	require.True(t, filter.NeedsFullOrder(mustParse(t, "like(tenant,a*)")))
	require.True(t, filter.NeedsFullOrder(ownFilter{details: true}))
	require.False(t, filter.NeedsFullOrder(ownFilter{}))
	require.False(t, filter.NeedsFullOrder(filter.CustomerLike("*x*")))
}

func TestAndAcceptsUserDefinedFilters(t *testing.T) {
	t.Parallel()
	f := filter.And(ownFilter{}, filter.Types("SO"))
	require.Equal(t, "and(eq(number,SO000027),eq(type,SO))", f.String())
	require.True(t, f.Match(acme()))
	require.NotContains(t, filter.Explain(f, acme()).String(), "refused")
}
