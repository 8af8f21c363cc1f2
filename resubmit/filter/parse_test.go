package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestParseAcceptsShortForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]filter.Filter{
		"everything()":             filter.Everything(),
		"type=SO":                  filter.Types("SO"),
		" type = SO & status=PF":   filter.And(filter.Types("SO"), filter.Statuses("PF")),
		"type=SO&channel=reseller": filter.And(filter.Types("SO"), filter.Channel(commerce.ChannelReseller)),
		"in(type,(SO,CH)),ilike(reason,*gateway*)": filter.And(filter.Types("SO", "CH"), filter.MessageLike("*gateway*")),
		"(type=SO|type=CH)&status=PF": filter.And(filter.Or(filter.Types("SO"), filter.Types("CH")),
			filter.Statuses("PF")),
		"out(type,(CL,CF))": filter.Not(filter.Types("CL", "CF")),
		"ne(type,CL)":       filter.Not(filter.Types("CL")),
		"and(in(status,(PF)),ge(placed,2026-11-01T00:00:00Z),lt(placed,2026-11-02))": filter.And(filter.Statuses("PF"),
			filter.PlacedBetween(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))),
		"placed=ge=2026-11-14T23:00:00+01:00": filter.PlacedBetween(night, time.Time{}),
		"failed=lt=2026-11-14T22:00:00Z":      filter.FailedBetween(time.Time{}, night),
		"amount=ge=100usd":                    filter.Total(filter.GreaterOrEqual, money("100", "USD")),
		`lt(amount,"100.50 EUR")`:             filter.Total(filter.Less, money("100.5", "EUR")),
		"class=transient":                     filter.MessageClass(nil, failure.Transient),
		`ilike(reason,"*502 ""Bad"" (x)*")`:   filter.MessageLike(`*502 "Bad" (x)*`),
		`customername=like=Acme*`:             mustParse(t, "like(customerName,Acme*)"),
		`channel=""`:                          filter.Channel(commerce.ChannelUnknown),
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := filter.Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestFilterString(t *testing.T) {
	t.Parallel()
	f := filter.And(
		filter.Statuses("PF", "LO"),
		filter.And(filter.PlacedBetween(night, night.Add(time.Hour)), filter.MessageLike("*Bad Gateway*")),
		filter.Or(filter.Channel(commerce.ChannelReseller), filter.Not(filter.Types("SO", "SO"))),
		filter.Total(filter.Greater, money("12.50", "eur")),
	)
	require.Equal(t, `and(in(status,(PF,LO)),ge(placed,2026-11-14T22:00:00Z),lt(placed,2026-11-14T23:00:00Z),`+
		`ilike(reason,"*Bad Gateway*"),or(eq(channel,reseller),not(eq(type,SO))),gt(amount,12.5EUR))`, f.String())
}

// TestParseReadsWhatStringWrites is half of invariant I11: parse(print(f)) = f.
func TestParseReadsWhatStringWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := aFilter(t, 3)
		require.NoError(t, filter.Validate(f))
		require.Equal(t, f, mustParse(t, f.String()))
	})
}

func TestParseReadsAnyValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.String(), 1, 12).Draw(t, "values")
		f := filter.And(filter.VendorAccounts(values...), filter.CustomerLike(values[0]+"*"))
		require.Equal(t, f, mustParse(t, f.String()))
	})
}

func TestParseOptions(t *testing.T) {
	t.Parallel()
	vip := func(o *commerce.Order) bool { return o.CustomerName == "Acme GmbH" }
	f := mustParse(t, `func("very important")`, filter.WithFunc("very important", vip))
	require.True(t, f.Match(acme()))
	require.Equal(t, `func("very important")`, f.String())

	custom, err := failure.NewClassifier(failure.Pattern{ID: "ours", Class: failure.Permanent,
		Match: []string{"bad gateway"}})
	require.NoError(t, err)
	want := filter.MessageClass(custom, failure.Permanent)
	require.Equal(t, want, mustParse(t, want.String(), filter.WithClassifier(custom)))

	byVerdict := mustParse(t, "in(verdict,(likely,caused))&type=SO", filter.WithVerdict(causeOf(failure.Likely)))
	require.Equal(t, "and(in(verdict,(likely,caused)),eq(type,SO))", byVerdict.String())
	require.True(t, byVerdict.Match(acme()))
	require.False(t, mustParse(t, "verdict=ne=likely", filter.WithVerdict(causeOf(failure.Likely))).Match(acme()))

	always := func(*commerce.Order) failure.Class { return failure.Permanent }
	byClass := mustParse(t, "ne(class,permanent)", filter.WithClass(always))
	require.Equal(t, "not(eq(class,permanent))", byClass.String())
	require.False(t, byClass.Match(acme()))
}

func TestTemplatesMatchReasonsThatDifferInVaryingParts(t *testing.T) {
	t.Parallel()
	text := func(s string) *commerce.Order {
		return &commerce.Order{Failure: commerce.Failure{Messages: map[string]string{"en_US": s}}}
	}
	f := mustParse(t, filter.Templates("no answer (order <n>)", "").String())
	require.Equal(t, filter.Templates("no answer (order <n>)", ""), f)
	require.True(t, f.Match(text("no answer (order 7)")))
	require.True(t, f.Match(text("")))
	require.False(t, f.Match(text("no answer")))
	require.True(t, filter.NeedsFullOrder(f))
}

func TestProperties(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"everything()": nil,
		"and(eq(type,SO),or(ge(placed,2026-11-01),not(ilike(reason,*x*))),eq(type,CH))": {"placed", "reason", "type"},
		"eq(class,transient)&gt(amount,1EUR)&eq(verdict,caused)":                        {"amount", "class", "verdict"},
	} {
		names, known := filter.Properties(mustParse(t, text, filter.WithVerdict(causeOf(failure.Likely))))
		require.True(t, known, text)
		require.Equal(t, want, names, text)
	}
	_, known := filter.Properties(filter.Not(filter.Func("f", func(*commerce.Order) bool { return true })))
	require.False(t, known)
}

func TestParseReportsWhereAMistakeIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "filter: the filter is empty; to select every order use everything()",
		"  \n":         "filter: the filter is empty; to select every order use everything()",
		"eq(status,PF": `filter: byte 12: expected "," or ")", found the end`,
		"and()":        "filter: byte 0: and needs a term",
		"in(type,())":  "filter: byte 0: in(type,…) takes a list of at least one value, such as (a,b)",
		"type=SO,lik(type,x)": `filter: byte 8: unknown operator "lik" (did you mean "like"?); known are and, or, not, ` +
			`everything, func, eq, ne, in, out, like, ilike, lt, le, gt, ge`,
		"limit(0,10)": `filter: byte 0: unknown operator "limit"; known are and, or, not, everything, func, eq, ne, in, ` +
			`out, like, ilike, lt, le, gt, ge`,
		"and(eq(type,state),eq(state,PF))": `filter: byte 22: unknown property "state" (did you mean "status"?); known ` +
			`are id, billingId, number, type, status, ` +
			`provisioningStatus, vendor, channel, customer, customerName, subscription, tenant, reason, template, class, verdict, window, placed, ` +
			`failed, amount`,
		"type=SO&ge(placed,yesterday)": `filter: byte 18: placed: "yesterday" is not a time; write 2026-11-01T22:00:00Z ` +
			`or a ` +
			`date, 2026-11-01`,
		`eq(number,"e""q"),eq(q,1)`: `filter: byte 21: unknown property "q"; known are id, billingId, number, type, ` +
			`status, ` +
			`provisioningStatus, vendor, channel, customer, customerName, subscription, tenant, reason, template, class, verdict, window, placed, ` +
			`failed, amount`,
		"number=SO1,in(i,(a))": `filter: byte 14: unknown property "i"; known are id, billingId, number, type, status, ` +
			`provisioningStatus, vendor, channel, customer, customerName, subscription, tenant, reason, template, class, verdict, window, placed, ` +
			`failed, amount`,
		"placed=2026-11-01":     "filter: byte 0: eq does not work on placed; use ge, gt, le, lt",
		"ge(placed,0001-01-01)": "filter: byte 10: placed: the time 0001-01-01 00:00:00 +0000 UTC is out of range",
		"status=ge=PF":          "filter: byte 0: ge does not work on status; use eq, ne, in, out, like, ilike",
		"amount=ge=100":         `filter: byte 10: amount: "100" is not an amount with a currency; write 100.50EUR`,
		"amount=ge=1e999999999EUR": `filter: byte 10: amount: "1e999999999EUR" is not an amount with a currency; write ` +
			`100.50EUR`,
		"ne(amount,100EUR)": "filter: byte 3: ne does not work on amount; use eq, ge, gt, le, lt",
		"class=transitive": `filter: byte 6: unknown class "transitive" (did you mean "transient"?); known are ` +
			`transient, permanent, alreadyProvisioned, unclassified`,
		"type=SO&channel=reseler": `filter: byte 16: unknown channel "reseler" (did you mean "reseller"?); known are ` +
			`direct, reseller and "" (unknown)`,
		"like(reason,\"\")":       "filter: byte 11: the pattern for reason is empty; * matches any text",
		"func(vip)":               `filter: byte 5: unknown function "vip"; define it with WithFunc`,
		"func()":                  "filter: byte 5: func takes the name of one function",
		"everything(now)":         "filter: byte 11: everything() takes no arguments",
		"in(customer,(a,null()))": `filter: byte 15: customer: null() is not supported; write "" for an unknown value`,
		"like(number,empty())":    `filter: byte 12: number: empty() is not supported; write "" for an unknown value`,
		"verdict=caused": "filter: byte 8: verdict: there are no windows to compare with; pass the function of a " +
			"failure.Attributor",
		"ge(verdict,caused)": "filter: byte 3: ge does not work on verdict; use eq, ne, in, out",
		"func(null())":       `filter: byte 5: func takes the name of one function`,
		"customer=empty()":   `filter: byte 9: customer: empty() is not supported; write "" for an unknown value`,
		"type=SO|type=CH":    "filter: byte 7: an or must be in brackets: (a|b)",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := filter.Parse(text)
			require.EqualError(t, err, want)
			require.Nil(t, f)
		})
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"", "everything()", "type=SO&channel=reseller",
		`and(in(status,(PF)),ge(placed,2026-11-01),ilike(reason,"*Bad Gateway*"))`,
		"(a|b)", "not(not(eq(type,SO)))", "amount=ge=100.50EUR", "in(class,(transient,permanent))", "func(f)", "eq(,)",
		"in(type,(",
	} {
		f.Add(seed)
	}
	known := filter.WithFunc("f", func(*commerce.Order) bool { return true })
	f.Fuzz(func(t *testing.T, text string) {
		f, err := filter.Parse(text, known)
		if err != nil {
			require.Nil(t, f)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NoError(t, filter.Validate(f))
		again, err := filter.Parse(f.String(), known)
		require.NoError(t, err)
		require.Equal(t, f.String(), again.String())
		o := acme()
		require.Equal(t, f.Match(o), again.Match(o))
		require.Equal(t, f.Match(o), filter.Explain(f, o).Match)
		require.NotContains(t, filter.Explain(f, o).String(), "\n")
	})
}

func TestWindowsThatCausedAFailure(t *testing.T) {
	t.Parallel()
	cause := func(o *commerce.Order) string { return map[string]string{"1": "CHG-2041", "2": "CHG-2042"}[o.ID] }
	order := func(id string) *commerce.Order { return &commerce.Order{ID: id} }
	known := filter.WithWindow(cause, "CHG-2041", "CHG-2042")
	for text, want := range map[string][]string{
		"window=CHG-2041":                  {"1"},
		"in(window,(CHG-2041,CHG-2042))":   {"1", "2"},
		"out(window,(CHG-2041))":           {"2", "3"},
		"ne(window,CHG-2042)&ne(id,3)":     {"1"},
		"or(eq(window,CHG-2042),eq(id,3))": {"2", "3"},
	} {
		f := mustParse(t, text, known)
		require.True(t, filter.NeedsFullOrder(f), text)
		require.Equal(t, f.String(), mustParse(t, f.String(), known).String(), text)
		var got []string
		for _, id := range []string{"1", "2", "3"} {
			if f.Match(order(id)) {
				got = append(got, id)
			}
		}
		require.Equal(t, want, got, text)
	}
	require.Equal(t, "eq(window,CHG-2041)", filter.CausedBy(cause, "CHG-2041").String())
	for text, want := range map[string]string{
		"window=CHG-2014": `there is no maintenance window "CHG-2014"`, "ge(window,C)": "window", "window=*": "there is no",
	} {
		_, err := filter.Parse(text, known)
		require.ErrorContains(t, err, want, text)
	}
	_, err := filter.Parse("window=CHG-2041")
	require.ErrorContains(t, err, "there are no windows to compare with")
	for _, f := range []filter.Filter{filter.CausedBy(nil, "a"), filter.CausedBy(cause), filter.CausedBy(cause, "")} {
		require.Error(t, filter.Validate(f))
	}
}
