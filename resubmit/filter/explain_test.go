package filter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"type=SO":           `matches eq(type,SO): type is "SO"`,
		"type=CH":           `does not match eq(type,CH): type is "SO"`,
		"status=PF,type=SO": `matches and(eq(status,PF),eq(type,SO))`,
		"status=PF,ge(placed,2027-01-01)": `does not match ge(placed,2027-01-01T00:00:00Z) at and[2]: placed is ` +
			`2026-11-14T21:00:00Z`,
		"status=PF,(type=CH|channel=direct)": `does not match or(eq(type,CH),eq(channel,direct)) at and[2]: ` +
			`does not match eq(type,CH) at or[1]: type is "SO"; does not match eq(channel,direct) at or[2]: channel is ` +
			`"reseller"`,
		"(type=CH|channel=reseller)": `matches eq(channel,reseller) at or[2]: channel is "reseller"`,
		"status=PF,not(type=SO)":     `does not match not(eq(type,SO)) at and[2]: type is "SO"`,
		"not((type=CH|channel=reseller))": `does not match not(or(eq(type,CH),eq(channel,reseller))): eq(channel,` +
			`reseller): ` +
			`channel is "reseller"`,
		"class=permanent": `does not match eq(class,permanent): class is "transient" by pattern bad-gateway, reason ` +
			`is "Order failed. Reason: 502 Bad Gateway."`,
		"ilike(reason,*quota*)": `does not match ilike(reason,*quota*): reason is "Order failed. Reason: 502 Bad ` +
			`Gateway."`,
		"provisioningStatus=FAILED": `does not match eq(provisioningStatus,FAILED): provisioningStatus is unknown`,
		"gt(amount,99USD)":          `does not match gt(amount,99USD): amount is "12.50 USD"`,
		"subscription=7":            `does not match eq(subscription,7): subscription is "1000101 1000102"`,
		"failed=lt=2026-11-14":      `does not match lt(failed,2026-11-14T00:00:00Z): failed is 2026-11-14T23:00:00Z`,
		"not(everything())":         `does not match not(everything())`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, filter.Explain(mustParse(t, text), acme()).String())
		})
	}
}

func TestExplainMissingValues(t *testing.T) {
	t.Parallel()
	o := &commerce.Order{PlacedAt: night}
	require.Equal(t, "does not match lt(failed,2026-11-14T00:00:00Z): failed is unknown, placed is 2026-11-14T22:00:00Z",
		filter.Explain(mustParse(t, "failed=lt=2026-11-14"), o).String())
	require.Equal(t, `does not match eq(class,transient): class is "unclassified", reason is unknown`,
		filter.Explain(filter.MessageClass(nil, failure.Transient), o).String())
	require.Equal(t, `does not match eq(verdict,caused): verdict is "unrelated"`,
		filter.Explain(filter.Verdicts(causeOf(failure.Unrelated), failure.Caused), o).String())
	require.Equal(t, "does not match invalid(): filter: the filter is empty; to select every order use everything()",
		filter.Explain(nil, o).String())
}

func TestExplanationIsOneShortLine(t *testing.T) {
	t.Parallel()
	o := acme()
	o.Failure = failedWith("line\nline\n" + strings.Repeat("ż", 10_000))
	line := filter.Explain(filter.MessageLike("x\ny"), o).String()
	require.NotContains(t, line, "\n")
	require.Less(t, len(line), 300)
}

func TestExplainAgreesWithMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, o := aFilter(t, 3), anOrder(t)
		e := filter.Explain(f, o)
		require.Equal(t, f.Match(o), e.Match)
		require.NotContains(t, e.String(), "\n")
	})
}
