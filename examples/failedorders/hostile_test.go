package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

func TestOutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	const hostile = "SO\x1b[2J\a\u009b\u202e\u200d\u2028\x7f1"
	order := &commerce.Order{
		ID: hostile, Number: hostile, Type: hostile, Status: hostile, Channel: hostile, VendorAccountID: hostile,
		CustomerName: hostile,
		Total:        commerce.Money{Currency: hostile},
		Failure:      commerce.Failure{Messages: map[string]string{"en_US": hostile}},
	}
	orders := func(yield func(*commerce.Order, error) bool) { yield(order, nil) }
	var table, lines strings.Builder
	require.NoError(t, showTable(&table, orders))
	require.NoError(t, showJSON(&lines, orders))
	for _, out := range []string{table.String(), lines.String()} {
		for _, r := range out {
			require.True(t, r == '\n' || unicode.IsGraphic(r), "%U in %q", r, out)
		}
	}
	var back row
	require.NoError(t, json.Unmarshal([]byte(lines.String()), &back))
	require.Equal(t, hostile, back.Number)
}
