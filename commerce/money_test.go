package commerce_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"100.50EUR": "100.50 EUR", "12.5 usd": "12.5 USD", "-3JPY": "-3 JPY", "0EUR": "0 EUR", "007.00EUR": "7.00 EUR",
	} {
		m, err := commerce.ParseMoney(text)
		require.NoError(t, err, text)
		require.Equal(t, want, m.String())
		again, err := commerce.ParseMoney(m.String())
		require.NoError(t, err)
		require.True(t, m.Amount.Equal(again.Amount))
		require.Equal(t, m.Currency, again.Currency)
	}
	for _, text := range []string{
		"", "100", "EUR", "1,5EUR", "1e3EUR", "1.EUR", ".5EUR", "+1EUR", "1  EUR", "1EURO", "1€", " 1EUR", "1EUR\n",
		strings.Repeat("9", 31) + "EUR", "0." + strings.Repeat("1", 31) + "EUR", "1.5.0EUR", "--1EUR",
	} {
		_, err := commerce.ParseMoney(text)
		require.ErrorContains(t, err, "is not an amount with a currency; write 100.50EUR", text)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestMoneyKeepsItsDecimalPlacesInJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"12.50 USD", "0.00 EUR", "-3 JPY", "100 USD", "0.100 BHD"} {
		m, err := commerce.ParseMoney(text)
		require.NoError(t, err)
		data, err := json.Marshal(m)
		require.NoError(t, err)
		require.JSONEq(t, `{"amount":"`+strings.Fields(text)[0]+`","currency":"`+m.Currency+`"}`, string(data))
		var again commerce.Money
		require.NoError(t, json.Unmarshal(data, &again))
		require.Equal(t, text, again.String())
	}
	data, err := json.Marshal(commerce.Money{Currency: "<&>\u202e"})
	require.NoError(t, err)
	require.JSONEq(t, `{"amount":"0","currency":"<&>\u202e"}`, string(data))
	for _, amount := range []string{`"1e999999999"`, `1e-999999999`, `"` + strings.Repeat("9", 65) + `"`} {
		require.Error(t, json.Unmarshal([]byte(`{"amount":`+amount+`,"currency":"EUR"}`), new(commerce.Money)), amount)
	}
}
