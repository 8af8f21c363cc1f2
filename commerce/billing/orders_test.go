package billing_test

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestOrderOfARowOf19Columns(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), answers(200, golden(t, "row19.xml")))
	o, err := c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, "12.5 USD", o.Total.String())
	require.Equal(t, &commerce.Order{
		ID: "1000027", BillingID: "1000027", Number: "SO000027", Type: commerce.TypeSales,
		Status:   commerce.StatusProvisioningFailed,
		PlacedAt: time.Unix(1700000060, 0).UTC(), VendorAccountID: "1", CustomerID: "1000004",
		Channel: commerce.ChannelDirect,
		Total:   commerce.Money{Amount: decimal.RequireFromString("12.5"), Currency: "USD"},
	}, o)
	require.False(t, o.HasTransitions(), "Billing does not tell the transitions")

	row, err := c.Row(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, "Sales order for Acme", row.Comments)
	require.Equal(t, "SPRING", row.PromoCode)
	require.Equal(t, "15.00", row.MerchTotal.StringFixed(-row.MerchTotal.Exponent()))
	require.Equal(t, billing.Null, row.ExpirationDate)
	require.Equal(t, billing.Null, row.SalesPersonID)
	require.True(t, row.ExpirationDate.Time().IsZero())
	require.True(t, row.CompletedDate.Time().IsZero())
	_, told := row.SalesPersonID.Int()
	require.False(t, told)
	branch, told := row.SalesBranchID.Int()
	require.True(t, told)
	require.EqualValues(t, 3, branch)
	require.Equal(t, "null 3", row.SalesPersonID.String()+" "+row.SalesBranchID.String())
}

func TestOrderOfARowOf17Columns(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), answers(200, golden(t, "row17.xml")))
	o, err := c.Order(t.Context(), "1000031")
	require.NoError(t, err)
	require.Equal(t, commerce.ChannelReseller, o.Channel)
	require.Equal(t, time.Unix(1700000500, 0).UTC(), o.PlacedAt, "an OrderDate of 0 is none")
	require.Empty(t, o.Total.Currency)
	row, err := c.Row(t.Context(), "1000031")
	require.NoError(t, err)
	require.Equal(t, "Zażółć", row.Comments)
	require.Equal(t, billing.Null, row.CompletedDate)

	c, _ = client(t, billing.NoLogin(), answers(200, golden(t, "row17.xml")), billing.WithDefaultCurrency("EUR"),
		billing.WithProviderAccount("1000002"))
	o, err = c.Order(t.Context(), "1000031")
	require.NoError(t, err)
	require.Equal(t, "1234 EUR", o.Total.String())
	require.Equal(t, commerce.ChannelDirect, o.Channel)
}

func TestWithPlacedAt(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), answers(200, golden(t, "row19.xml")),
		billing.WithPlacedAtColumn(billing.CreationTimeColumn))
	o, err := c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, time.Unix(1700000000, 0).UTC(), o.PlacedAt)
}

// cells is a good row of 19 columns with some of its cells changed.
func cells(changes map[int]any) []any {
	row := []any{1000027, "SO000027", 1, 4, "PF", "SO", 1700000000, 1700000060, 12.5, 0, 0, 12.5, "", 0, "", 0, 0, "USD",
		0}
	for i, cell := range changes {
		row[i] = cell
	}
	return row
}

func TestRowIsRead(t *testing.T) {
	t.Parallel()
	for name, row := range map[string][]any{
		"more columns than are known":         append(cells(nil), "new", 7, []any{1}),
		"18 columns":                          cells(nil)[:18],
		"another last column":                 cells(map[int]any{18: "not a time"}),
		"a number of 64 bits, if it is there": cells(map[int]any{6: 1 << 20}),
	} {
		c, _ := client(t, billing.NoLogin(), answers(200, result(row)))
		o, err := c.Order(t.Context(), "1000027")
		require.NoError(t, err, name)
		require.Equal(t, "USD", o.Total.Currency, name)
	}
}

func TestRowProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer, want string
	}{
		{"no row", emptyResult, "the answer has no Result[0]"},
		{"another order", result(cells(map[int]any{0: 5})), "order 1000027 was asked for, but 5 came back"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), answers(200, tc.answer))
			_, err := c.Order(t.Context(), "1000027")
			require.ErrorContains(t, err, "commerce: read order: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// oddRows are answers to a read of order 1000027, and what is said of them.
func oddRows() map[string]string {
	long := strings.Repeat("9", 1<<20)
	raw := func(old, changed string) string { return strings.Replace(result(cells(nil)), old, changed, 1) }
	return map[string]string{
		result(cells(nil)[:16]):                             "the row has 16 columns: GetOrder_API returns 17 or 19",
		result([]any{}):                                     "the row has 0 columns",
		result(cells(map[int]any{0: "1000027"})):            `OrderID must be an int, not the string "1000027"`,
		result(cells(map[int]any{0: billing.Null})):         "the row has no OrderID",
		result(cells(map[int]any{1: 27})):                   `OrderNumber must be a string, not the int "27"`,
		result(cells(map[int]any{4: []any{1}})):             "OrderStatusID must be a string, not array",
		result(cells(map[int]any{7: "yesterday"})):          `OrderDate must be an int, not the string "yesterday"`,
		raw("<i4>1700000060</i4>", "<i8>300000000000</i8>"): "OrderDate 300000000000 is not in the years 1 to 9999",
		raw("<i4>1700000000</i4>", "<i8>-99999999999</i8>"): "CreationTime -99999999999 is not in the years 1 to 9999",
		result(cells(map[int]any{8: "12.5"})):               `Total must be a double, not the string "12.5"`,
		result(cells(map[int]any{17: 5})):                   `CurrencyID must be a string, not the int "5"`,
		result(cells(map[int]any{12: []byte{0xff}})):        "Comments must be text, but its base64 is not UTF-8 text",
		raw("12.5",
			"1e-200"): "Total must be an amount: a number must have at most 64 characters",
		raw("12.5", "1e70"): "Total must be an amount: a number must have at most 64 characters",
		raw("12.5",
			strings.Repeat("9", 100)): "Total must be an amount: a number must have at most 64 characters, not 100",
		raw("12.5", long): "Total must be an amount: a number must have at most 64 characters, not 1048576",
		raw("<i4>1700000060</i4>", "<i4>"+long+
			"</i4>"): "OrderDate must be an int of 64 bits, not the int \"9999",
		raw("<i4>1700000060</i4>",
			"<i4></i4>"): `OrderDate must be an int of 64 bits, not the int ""`,
		raw("<i4>1700000060</i4>",
			"<nil>x</nil>"): `OrderDate must be an int, not the nil "x"`,
		strings.Replace(result([]any{}), "<array><data></data></array>", "<string>none</string>",
			1): "the row is not an array but string",
	}
}

func TestOrderWithProblemsIsNotPushed(t *testing.T) {
	t.Parallel()
	for answer, problem := range oddRows() {
		c, w := client(t, billing.NoLogin(), answers(200, answer))
		start := time.Now()
		o, err := c.Order(t.Context(), "1000027")
		require.NoError(t, err, problem)
		require.Less(t, time.Since(start), 2*time.Second)
		require.Equal(t, "1000027", o.ID)
		require.Contains(t, strings.Join(o.Problems, "\n"), problem)
		require.Less(t, len(o.Problems[0]), 200)

		err = c.Push(t.Context(), "1000027", commerce.StatusPaid)
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
		require.Len(t, w.calls, 2, "two reads and no push")
	}
}

func TestPlanHoldsOrdersWithProblems(t *testing.T) {
	t.Parallel()
	for answer, problem := range oddRows() {
		synctest.Test(t, func(t *testing.T) { // a repeated read waits
			<-time.After(time.Until(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
			c, _ := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
				if strings.Contains(body, "<i4>1000027</i4>") {
					return httpmock.NewStringResponse(200, answer), nil
				}
				return shop(body)
			})
			p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
				Systems: resubmit.SystemsOf(c, c.FromText(
					strings.NewReader("OrderID,Number,Subscription\n1000001,SO000001,1\n1000027,SO000027,27\n1000002,,2\n"))),
				Filter: filter.Everything(), IgnoreConnect: true, Override: []string{"1000001", "1000002"},
				Journal: new(resubmit.MemoryJournal),
			})
			require.NoError(t, err)
			require.Equal(t, plan.ActionCounts{Total: 3, Resubmit: 2, Hold: 1}, p.Counts(), problem)
			for e, err := range p.Entries() {
				require.NoError(t, err)
				if e.OrderID == "1000027" {
					require.Equal(t, "unreadable-row", e.Decision.RuleID)
					require.Equal(t, []string{"27"}, e.Subscriptions)
				}
			}
		})
	}
}

func TestOrderRejectsBadIDs(t *testing.T) {
	t.Parallel()
	c, w := client(t, billing.NoLogin(), answers(500, ""))
	for _, id := range []string{"", "SO000027", "0", "-1", "01", "+1", "1 ", "3000000000", strings.Repeat("9", 1000)} {
		_, err := c.Order(t.Context(), id)
		require.ErrorContains(t, err, "is not the id of an order in Billing")
		require.Less(t, len(err.Error()), 160)
		err = c.Push(t.Context(), id, commerce.StatusPaid)
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	}
	err := c.Push(t.Context(), "1", "P D")
	require.ErrorContains(t, err, `"P D" is not a status`)
	require.Empty(t, w.calls)
}

func TestPushReadsTheOrderAndSendsOnce(t *testing.T) {
	t.Parallel()
	answer := func(body string) (*http.Response, error) {
		if isPush(body) {
			return httpmock.NewStringResponse(200, golden(t, "done.xml")), nil
		}
		return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
	}
	c, w := client(t, billing.NoLogin(), answer)
	require.NoError(t, c.Push(t.Context(), "1000027", commerce.StatusPaid))
	require.Equal(t, []string{golden(t, "getorder.xml"), golden(t, "push.xml")}, w.calls)

	c, w = client(t, billing.NoLogin(), answer, billing.WithSignatureBeforeStatus())
	require.NoError(t, c.Push(t.Context(), "1000027", commerce.StatusPaid))
	status, signature := "<value><string>PD</string></value>",
		"<value><string>896e5b31a005ae3054ecd0ead0e59b54</string></value>"
	require.Equal(t, strings.Replace(golden(t, "push.xml"), status+signature, signature+status, 1), w.calls[1])
}

func TestPush_signs_the_raw_text(t *testing.T) {
	t.Parallel()
	for sent, signed := range map[string]string{
		"a\x0bb": "a\x0bb", "a&#11;b": "a\x0bb", "a\xffb": "a\xffb", "Za\u017c\xc3": "Za\u017c\xc3",
	} {
		read := strings.Replace(golden(t, "row19.xml"), "Sales order for Acme", sent, 1)
		require.Contains(t, read, sent)
		c, w := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
			if isPush(body) {
				return httpmock.NewStringResponse(200, golden(t, "done.xml")), nil
			}
			return httpmock.NewStringResponse(200, read), nil
		})
		require.NoError(t, c.Push(t.Context(), "1000027", commerce.StatusPaid), "%q", sent)
		sum := md5.Sum([]byte("1000027SO0000271700000000USD 12.50" + signed))
		require.Contains(t, w.calls[1], hex.EncodeToString(sum[:]), "%q", sent)
		row, err := c.Row(t.Context(), "1000027")
		require.NoError(t, err)
		require.Equal(t, signed, row.Comments)
		require.Empty(t, row.Problems)
	}
}

func TestOrder_shows_no_control_characters(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), answers(200, strings.Replace(golden(t, "row19.xml"), "SO000027",
		"SO\x01&#2;\xff27",
		1)))
	o, err := c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, "SO\ufffd\ufffd\ufffd27", o.Number)
}

func TestPush_with_an_unreadable_answer_is_unknown(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"<methodResponse/>", "<methodResponse><fault><value>no</value></fault></methodResponse>",
		"<methodResponse><fault><value><struct/></value></fault></methodResponse>",
		"<methodResponse><params></methodResponse>",
		`<?xml version="1.0" encoding="utf-7"?>` + fault("no"), fault("no") + "x", "",
	} {
		c, _ := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
			if isPush(body) {
				return httpmock.NewStringResponse(200, answer), nil
			}
			return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
		})
		err := c.Push(t.Context(), "1000027", commerce.StatusPaid)
		require.Equal(t, commerce.DeliveryUnknown, commerceError(t, err).Delivery, "%q: %v", answer, err)
	}
}

func TestPushIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		read, push func(string) (*http.Response, error)
		opts       []billing.Option
		delivery   commerce.Delivery
		pushes     int
		want       string
	}{
		{"an order that is not there", answers(200, golden(t, "fault.xml")), nil, nil, commerce.DeliveryNotSent, 0,
			"push order (reading it for the signature): HTTP 200 OK: fault 5: Table"},
		{"a read without an answer", answers(503, ""), nil, nil, commerce.DeliveryNotSent, 0,
			"push order (reading it for the signature)"},
		{"an order without currency", answers(200, golden(t, "row17.xml")), nil, nil, commerce.DeliveryNotSent, 0,
			"use WithDefaultCurrency"},
		{"an order without a time of creation", answers(200, result(cells(map[int]any{6: billing.Null}))), nil, nil,
			commerce.DeliveryNotSent, 0, "it has no CreationTime"},
		{"a fault", nil, answers(200, fault("Signature is bad")), nil, commerce.DeliveryRefused, 1,
			"fault 1: Signature is bad"},
		{"a fault that proves nothing", nil, answers(200, fault("Trouble")),
			[]billing.Option{billing.WithFaultDelivery(commerce.DeliveryUnknown)}, commerce.DeliveryUnknown, 1, "Trouble"},
		{"trouble", nil, answers(500, ""), nil, commerce.DeliveryUnknown, 1, "500"},
		{"too many calls", nil, answers(429, ""), nil, commerce.DeliveryRefused, 1, "429"},
		{"a page", nil, answers(200, "<html>"), nil, commerce.DeliveryUnknown, 1, "the answer is a page"},
		{"an answer that is cut", nil, answers(200, "<methodResponse><params>"), nil, commerce.DeliveryUnknown, 1,
			"ends too early"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pushes := 0
			id := "1000027"
			if strings.Contains(tc.name, "without currency") {
				id = "1000031"
			}
			c, _ := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
				if isPush(body) {
					pushes++
					return tc.push(body)
				}
				if tc.read != nil {
					return tc.read(body)
				}
				return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
			}, append(tc.opts, billing.WithMaxTries(2), billing.WithMaxWait(time.Millisecond))...)
			err := c.Push(t.Context(), id, commerce.StatusPaid)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.delivery, commerceError(t, err).Delivery)
			require.Equal(t, tc.pushes, pushes)
		})
	}
}

func TestBadSignatureIsForbidden(t *testing.T) {
	t.Parallel()
	for text, forbidden := range map[string]bool{"The Signature is not valid": true,
		"no transition from PF to PR": false} {
		c, _ := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
			if isPush(body) {
				return httpmock.NewStringResponse(200, fault(text)), nil
			}
			return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
		})
		err := c.Push(t.Context(), "1000027", commerce.StatusPaid)
		require.Equal(t, forbidden, errors.Is(err, commerce.ErrForbidden), text)
		_, ok := errors.AsType[*commerce.Fault](err)
		require.True(t, ok, text)
	}
}

func FuzzRow(f *testing.F) {
	f.Add(golden(f, "row17.xml"))
	f.Add(golden(f, "row19.xml"))
	f.Add(golden(f, "fault.xml"))
	f.Fuzz(func(t *testing.T, answer string) {
		c, _ := client(t, billing.NoLogin(), answers(200, answer))
		o, err := c.Order(t.Context(), "1000027")
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Equal(t, "1000027", o.ID)
		require.Less(t, len(o.Total.String()), 1<<14)
	})
}
