package simpleapi_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

func read(t *testing.T, body string, opts ...simpleapi.Option) (*commerce.Order, error) {
	t.Helper()
	c, _ := client(t, answers(200, body), opts...)
	return c.Order(t.Context(), "1000027")
}

func TestOrderReadsTheGoldenOrder(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"bare": golden(t, "order.json"),
		"under data": `{"data":` + golden(t, "order.json") + `}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := read(t, body)
			require.NoError(t, err)
			require.Equal(t, "1234567890123456.70 USD", o.Total.String(), "a float would have lost the cents")
			require.Contains(t, string(o.Raw), `"poNumber": "PO-9"`)
			o.Total, o.Raw = commerce.Money{}, nil
			require.Equal(t, &commerce.Order{
				ID: "1000027", BillingID: "1000027", Number: "SO000027", Type: "SO", Status: "PF",
				PlacedAt: time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC), CustomerID: "1000005",
				SubscriptionIDs: []string{"1000042", "1000043"},
			}, o)
		})
	}
}

func TestDecodeIsLenientWhereServersDiffer(t *testing.T) {
	t.Parallel()
	placed := func(o *commerce.Order) any { return o.PlacedAt }
	total := func(o *commerce.Order) any { return o.Total.String() }
	kind := func(o *commerce.Order) any { return o.Type }
	status := func(o *commerce.Order) any { return o.Status }
	subscriptions := func(o *commerce.Order) any { return o.SubscriptionIDs }
	for _, tc := range []struct {
		name, fields string
		get          func(*commerce.Order) any
		want         any
	}{
		{"a time with an offset", `"creationDate":"2026-11-19T10:00:00+02:00"`, placed,
			time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)},
		{"a time without a zone", `"creationDate":"2026-11-19T10:00:00.5"`, placed,
			time.Date(2026, 11, 19, 10, 0, 0, 5e8, time.UTC)},
		{"a time of RFC 1123", `"creationDate":"Thu, 19 Nov 2026 10:00:00 GMT"`, placed,
			time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC)},
		{"a total that is an empty list", `"total":[]`, total, ""},
		{"no time", `"creationDate":null`, placed, time.Time{}},
		{"a total as number in an object", `"total":{"currency":"EUR","amount":0.10}`, total, "0.10 EUR"},
		{"a total as plain number", `"total":12.50`, total, "12.50"},
		{"a total as plain text", `"total":"12.50"`, total, "12.50"},
		{"a total without amount", `"total":{"currency":"EUR"}`, total, "0 EUR"},
		{"a total that is empty", `"total":{}`, total, ""},
		{"a sale", `"type":"sales"`, kind, commerce.TypeSales},
		{"a change", `"type":"change"`, kind, commerce.TypeChange},
		{"a renewal", `"type":"renewal"`, kind, commerce.TypeRenewal},
		{"a cancellation", `"type":"cancellation"`, kind, commerce.TypeCancellation},
		{"an unknown type", `"type":"unknown"`, kind, commerce.OrderType("unknown")},
		{"a type of next year", `"type":"lease"`, kind, commerce.OrderType("lease")},
		{"a code beats the word", `"status":"error","statusCode":"AF"`, status, commerce.StatusAuthorizationFailed},
		{"error", `"status":"error","statusCode":null`, status, commerce.StatusProvisioningFailed},
		{"submitted", `"status":"submitted"`, status, commerce.StatusOpen},
		{"processing", `"status":"processing","statusCode":""`, status, commerce.StatusProvisioning},
		{"completed", `"status":"completed"`, status, commerce.StatusCompleted},
		{"cancelled", `"status":"cancelled"`, status, commerce.StatusCancelled},
		{"a word of next year", `"status":"parked"`, status, commerce.Status("parked")},
		{"plain subscriptions", `"subscriptions":[1,"2",null,{}]`, subscriptions, []string{"1", "2"}},
		{"subscriptions with ids", `"subscriptions":[{"id":5},{"id":"uuid","subscriptionId":6}]`, subscriptions,
			[]string{"5", "6"}},
		{"a product's id is no subscription", `"products":[{"id":"PRD-1"}],"details":[{"id":7,"subscriptionId":8}]`,
			subscriptions, []string{"8"}},
		{"no lists", `"subscriptions":null,"products":null,"details":null`, subscriptions, []string(nil)},
		{"attributes of any kind", `"attributes":[1],"creditCheck":"maybe"`, subscriptions, []string(nil)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, err := read(t, `{"id":"1000027",`+tc.fields+`}`)
			require.NoError(t, err)
			require.Empty(t, o.Problems)
			require.Equal(t, tc.want, tc.get(o))
		})
	}
}

func TestDecodeNamesBadFields(t *testing.T) {
	t.Parallel()
	for fields, want := range oddFields {
		o, err := read(t, `{"id":"1000027",`+fields+`}`)
		require.NoError(t, err)
		require.Len(t, o.Problems, 1)
		require.Contains(t, o.Problems[0], want)
	}
	for body, want := range map[string]string{`{}`: "it has no id", `null`: "it is not a JSON object",
		`{"data":{}}`: "it has no id"} {
		_, err := read(t, body)
		require.ErrorContains(t, err, want)
	}
}

func TestOptionsForOtherInstallations(t *testing.T) {
	t.Parallel()
	words := simpleapi.WithStatusWords(map[string]commerce.Status{"broken": "PF"})
	o, err := read(t, `{"id":1000027,"status":"broken"}`, words)
	require.NoError(t, err)
	require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
	o, err = read(t, `{"id":1000027,"status":"error"}`, words)
	require.NoError(t, err)
	require.Equal(t, commerce.Status("error"), o.Status, "the default words are replaced")

	own := simpleapi.WithCustomFields(func(raw json.RawMessage, o *commerce.Order) error {
		var own struct {
			Why string `json:"why"`
		}
		if err := json.Unmarshal(raw, &own); err != nil {
			return err
		}
		if own.Why == "" {
			return errors.New("why is missing")
		}
		o.Failure.Messages = map[string]string{"en_US": own.Why}
		return nil
	})
	o, err = read(t, `{"id":1000027,"why":"timed out"}`, own)
	require.NoError(t, err)
	require.Equal(t, "timed out", o.Failure.Message())
	o, err = read(t, `{"id":1000027}`, own)
	require.NoError(t, err)
	require.Equal(t, []string{"why is missing"}, o.Problems)
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"id":"1","creationDate":"2026-11-19","total":{"currency":"USD","amount":"1.5"},"status":"error"}`)
	f.Add(`{"data":{"id":1,"subscriptions":[1,{"id":2}],"products":[{"subscriptionId":null}],"total":7}}`)
	f.Add(`{"data":[{"id":1}],"pagination":{"total":"1","limit":-1}}`)
	f.Add(`{"error":{"code":1},"details":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, status := range []int{200, 400} {
			c, _ := client(t, answers(status, body), simpleapi.WithMaxTries(1))
			o, err := c.Order(t.Context(), "1")
			orders, listErr := collect(t.Context(), c, commerce.Query{})
			for _, err := range []error{err, listErr} {
				if _, ok := errors.AsType[*commerce.Error](err); err != nil && !ok {
					t.Fatalf("not a *commerce.Error: %v", err)
				}
			}
			if err == nil {
				orders = append(orders, o)
			}
			for _, o := range orders {
				if o.ID == "" || len(o.Raw) == 0 || len(o.Total.String()) > 1000+len(body) {
					t.Fatalf("%q became %+v", body, o)
				}
			}
		}
	})
}
