package ordermanager_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

func read(t *testing.T, body string) (*commerce.Order, error) {
	t.Helper()
	c, _ := client(t, answers(200, body))
	return c.Order(t.Context(), "x")
}

func TestDecodeIsLenientWhereServersDiffer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, fields string
		get          func(*commerce.Order) any
		want         any
	}{
		{"a time with an offset", `"orderDate":"2026-11-19T10:00:00+02:00"`, placedAt,
			time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)},
		{"a time with milliseconds", `"orderDate":"2026-11-19T10:00:00.250Z"`, placedAt,
			time.Date(2026, 11, 19, 10, 0, 0, 250e6, time.UTC)},
		{"a time with a short offset", `"orderDate":"2026-11-19T10:00:00+0200"`, placedAt,
			time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)},
		{"a time without a zone", `"orderDate":"2026-11-19T10:00:00"`, placedAt,
			time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)},
		{"a time of RFC 1123", `"orderDate":"Thu, 19 Nov 2026 10:00:00 GMT"`, placedAt,
			time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)},
		{"a time of RFC 1123 in UTC", `"orderDate":"Thu, 19 Nov 2026 10:00:00 UTC"`, placedAt,
			time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)},
		{"a time of RFC 1123 with an offset", `"orderDate":"Thu, 19 Nov 2026 12:00:00 +0200"`, placedAt,
			time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)},
		{"no error text as a list", `"errorDetails":[]`, message, ""},
		{"no transitions as a list", `"possiblePushToStatus":[ ]`, moves, []commerce.Transition{}},
		{"no label as a list", `"possiblePushToStatus":{"PD":[]}`, moves, []commerce.Transition{{To: "PD"}}},
		{"no total as a list", `"total":[]`, total, ""},
		{"no time", `"orderDate":null`, placedAt, time.Time{}},
		{"an empty time", `"orderDate":""`, placedAt, time.Time{}},
		{"a value as text", `"total":{"code":"EUR","value":"0.10"}`, total, "0.10 EUR"},
		{"a value with an exponent", `"total":{"code":"EUR","value":1e2}`, total, "100 EUR"},
		{"a value that is null", `"total":{"code":"EUR","value":null}`, total, "0 EUR"},
		{"a plain error text", `"errorDetails":"it failed"`, message, "it failed"},
		{"no error text", `"errorDetails":{}`, message, ""},
		{"an unknown code", `"status":"Q7"`, func(o *commerce.Order) any { return o.Status }, commerce.Status("Q7")},
		{"no transitions told", `"possiblePushToStatus":null`, moves, []commerce.Transition(nil)},
		{"no transitions on offer", `"possiblePushToStatus":{}`, moves, []commerce.Transition{}},
		{"a plain label", `"possiblePushToStatus":{"PD":"Again"}`, moves,
			[]commerce.Transition{{To: "PD", Label: map[string]string{"": "Again"}}}},
		{"plain subscriptions", `"subscriptions":[1,"2",null,{}]`, func(o *commerce.Order) any { return o.SubscriptionIDs },
			[]string{"1", "2"}},
		{"a subscription's id before its resource's", `"subscriptions":[{"id":"uuid","subscriptionId":5}]`,
			func(o *commerce.Order) any { return o.SubscriptionIDs }, []string{"5"}},
		{"no vendor", `"vendorAccountId":null`, func(o *commerce.Order) any { return o.Channel }, commerce.ChannelUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, err := read(t, `{"orderId":"x",`+tc.fields+`}`)
			require.NoError(t, err)
			require.Empty(t, o.Problems)
			require.Equal(t, tc.want, tc.get(o))
		})
	}
}

func placedAt(o *commerce.Order) any { return o.PlacedAt }
func total(o *commerce.Order) any    { return o.Total.String() }
func message(o *commerce.Order) any  { return o.Failure.Message() }
func moves(o *commerce.Order) any    { return o.Transitions }

func FuzzDecode(f *testing.F) {
	f.Add(`{"orderId":"x","orderDate":"2026-11-19","total":{"code":"USD","value":1.5},"errorDetails":{"en":"a"},` +
		`"possiblePushToStatus":{"PD":{"en":"b"}}}`)
	f.Add(`{"orderId":1,"subscriptions":[1,{"id":2}],"orderDetails":[{"subscriptionId":null}]}`)
	f.Add(`{"orderId":""}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		o, err := read(t, body)
		if err != nil {
			if _, ok := errors.AsType[*commerce.Error](err); !ok {
				t.Fatalf("not a *commerce.Error: %v", err)
			}
			return
		}
		if o.ID == "" || len(o.Raw) == 0 || len(o.Total.String()) > 1000+len(body) {
			t.Fatalf("%q became %+v", body, o)
		}
	})
}
