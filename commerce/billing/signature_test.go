package billing_test

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
)

// The vectors of commerce/WIRE.md#1.5.
func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		row       map[int]any
		text, md5 string
	}{
		{map[int]any{0: 1000027, 1: "SO000027", 6: 1700000000, 8: 12.5, 12: "Sales order for Acme", 17: "USD"},
			"1000027SO0000271700000000USD 12.50Sales order for Acme", "896e5b31a005ae3054ecd0ead0e59b54"},
		{map[int]any{0: 1000028, 1: "CH000003", 6: 1700000500, 8: 1234, 12: " ", 17: "USD"},
			"1000028CH0000031700000500USD 1234.00", "7c9762df7b4ce5389ab18c30f4112bad"},
		{map[int]any{0: 1000029, 1: "SO000029", 6: 1700000900, 8: 1200.0, 12: "Zażółć", 17: "JPY"},
			"1000029SO0000291700000900JPY 1200Zażółć", "cac6ed0d7700a40e2358ababe199bcf0"},
	} {
		c, w := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
			if isPush(body) {
				return httpmock.NewStringResponse(200, golden(t, "done.xml")), nil
			}
			return httpmock.NewStringResponse(200, result(cells(tc.row))), nil
		})
		id := tc.text[:7]
		row, err := c.Row(t.Context(), id)
		require.NoError(t, err)
		text, err := c.SignedText(row)
		require.NoError(t, err)
		require.Equal(t, tc.text, text)
		require.NoError(t, c.Push(t.Context(), id, commerce.StatusPaid))
		require.Contains(t, w.calls[len(w.calls)-1], "<string>"+tc.md5+"</string>")
	}
}

func TestSignatureRules(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		rule     billing.SignatureRule
		total    string
		currency string
		want     string
	}{
		{"padded to two digits", billing.SignatureRule{}, "12.5", "EUR", "12.50"},
		{"cut to two digits", billing.SignatureRule{}, "12.509", "EUR", "12.50"},
		{"rounded to two digits", billing.SignatureRule{RoundHalfAwayFromZero: true}, "12.505", "EUR", "12.51"},
		{"rounded away from zero", billing.SignatureRule{RoundHalfAwayFromZero: true}, "-12.505", "EUR", "-12.51"},
		{"the noise of a double is not cut", billing.SignatureRule{}, "12.499999999999999999", "EUR", "12.50"},
		{"the digits that a double holds are", billing.SignatureRule{}, "12.4999999", "EUR", "12.49"},
		{"no digits", billing.SignatureRule{}, "1200.0", "KRW", "1200"},
		{"three digits", billing.SignatureRule{}, "1.5", "KWD", "1.500"},
		{"four digits", billing.SignatureRule{}, "1.5", "CLF", "1.5000"},
		{"as the installation says", billing.SignatureRule{Precision: map[string]int{"JPY": 2}}, "1200", "JPY", "1200.00"},
		{"another currency than the installation says", billing.SignatureRule{Precision: map[string]int{"JPY": 2}}, "1200",
			"KRW", "1200"},
		{"thousands", billing.SignatureRule{ThousandsSeparator: ","}, "1234567.8", "EUR", "1,234,567.80"},
		{"negative thousands", billing.SignatureRule{ThousandsSeparator: ","}, "-123456", "EUR", "-123,456.00"},
		{"no thousands", billing.SignatureRule{ThousandsSeparator: " "}, "999", "JPY", "999"},
		{"an exponent", billing.SignatureRule{}, "1.25e3", "EUR", "1250.00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), answers(500, ""), billing.WithSignatureRule(tc.rule))
			text, err := c.SignedText(&billing.OrderRow{
				OrderID: 1, OrderNumber: "N", CreationTime: 2, CurrencyID: tc.currency, Total: decimal.RequireFromString(tc.total),
				Comments: " c \t",
			})
			require.NoError(t, err)
			require.Equal(t, "1N2"+tc.currency+" "+tc.want+" c", text)
		})
	}
}

func TestSignatureRuleTrimFields(t *testing.T) {
	t.Parallel()
	row := &billing.OrderRow{OrderID: 1, OrderNumber: " N ", CreationTime: 2, CurrencyID: "JPY", Comments: " c "}
	plain, _ := client(t, billing.NoLogin(), answers(500, ""))
	trimming, _ := client(t, billing.NoLogin(), answers(500, ""),
		billing.WithSignatureRule(billing.SignatureRule{TrimFields: true}))
	text, err := plain.SignedText(row)
	require.NoError(t, err)
	require.Equal(t, "1 N 2JPY 0 c", text)
	text, err = trimming.SignedText(row)
	require.NoError(t, err)
	require.Equal(t, "1N2JPY 0c", text)
}

func TestWithSignatureRuleCopiesPrecision(t *testing.T) {
	t.Parallel()
	precision := map[string]int{"USD": 3}
	c, _ := client(t, billing.NoLogin(), answers(500, ""),
		billing.WithSignatureRule(billing.SignatureRule{Precision: precision}))
	precision["USD"] = 0
	text, err := c.SignedText(&billing.OrderRow{CurrencyID: "USD"})
	require.NoError(t, err)
	require.Equal(t, "00USD 0.000", text)
}

// Whatever the order, what is pushed is signed by the MD5 of a text that holds its fields.
func TestSignatureProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cents := rapid.Int64Range(-1_000_000_00, 1_000_000_00).Draw(rt, "cents")
		comments := rapid.StringMatching(`[ a-zżółć<&]{0,20}`).Draw(rt, "comments")
		created := rapid.IntRange(0, 1<<31-1).Draw(rt, "created")
		total := decimal.New(cents, -2)
		row := cells(map[int]any{6: created, 8: total, 12: comments})
		c, w := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
			if isPush(body) {
				return httpmock.NewStringResponse(200, golden(t, "done.xml")), nil
			}
			return httpmock.NewStringResponse(200, result(row)), nil
		})
		require.NoError(rt, c.Push(t.Context(), "1000027", commerce.StatusPaid))
		text := "1000027SO000027" + strconv.Itoa(created) + "USD " + total.StringFixed(2) + comments
		sum := md5.Sum([]byte(strings.TrimRight(text, " ")))
		require.Contains(rt, w.calls[1], "<string>"+hex.EncodeToString(sum[:])+"</string>")
	})
}
