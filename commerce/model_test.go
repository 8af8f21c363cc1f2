package commerce_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

func TestQueryMatch(t *testing.T) {
	t.Parallel()
	order := commerce.Order{ID: "a1", Number: "SO000027", Type: "SO", Status: "PF", PlacedAt: november}
	for _, tc := range []struct {
		name  string
		query commerce.Query
		want  bool
	}{
		{"the zero query asks for all", commerce.Query{}, true},
		{"one of the ids", commerce.Query{IDs: []string{"2", "a1"}}, true},
		{"none of the ids", commerce.Query{IDs: []string{"2"}}, false},
		{"an id that is no UUID in another letter case", commerce.Query{IDs: []string{"A1"}}, false},
		{"one of the numbers", commerce.Query{Numbers: []string{"SO000027"}}, true},
		{"none of the numbers", commerce.Query{Numbers: []string{"SO000028"}}, false},
		{"a pattern for the number", commerce.Query{NumberLike: "*27"}, true},
		{"another pattern", commerce.Query{NumberLike: "CH*"}, false},
		{"the start counts", commerce.Query{PlacedFrom: november}, true},
		{"the end does not", commerce.Query{PlacedTo: november}, false},
		{"all terms must hold", commerce.Query{Statuses: []commerce.Status{"PF"}, Types: []commerce.OrderType{"CH"}}, false},
		{"the account is not checked again", commerce.Query{Account: "x"}, true},
	} {
		require.Equal(t, tc.want, tc.query.Match(&order), tc.name)
	}
	order.ID = "32542b3c-6f91-4037-abe5-ecf5f0752eef"
	upper := commerce.Query{IDs: []string{"x", "32542B3C-6F91-4037-ABE5-ECF5F0752EEF"}}
	require.True(t, upper.Match(&order), "the letter case of a UUID has no meaning")
	require.Empty(t, upper.Mismatch(&order))
}

func TestStatusProvisioned(t *testing.T) {
	t.Parallel()
	for status, want := range map[commerce.Status]bool{
		"PC": true, "CR": true, "WZ": true, "CP": true, "PF": false, "PR": false, "CL": false, "??": false,
	} {
		require.Equal(t, want, status.Provisioned(), status)
	}
}

func TestOrderOffers(t *testing.T) {
	t.Parallel()
	o := commerce.Order{}
	require.False(t, o.HasTransitions())
	require.False(t, o.Offers("PD"))
	o.Transitions = []commerce.Transition{}
	require.True(t, o.HasTransitions(), "no transition is an answer, too")
	o.Transitions = []commerce.Transition{{To: "CL"}, {To: "PD"}}
	require.True(t, o.Offers("PD"))
	require.False(t, o.Offers("PR"))
}

func TestMoneyIsExact(t *testing.T) {
	t.Parallel()
	for amount, want := range map[string]string{
		"0.1": "0.1 USD", "12.50": "12.50 USD", "-3": "-3 USD", "0": "0 USD", "1e3": "1000 USD",
		"12345678901234567890.123456789": "12345678901234567890.123456789 USD",
	} {
		m := commerce.Money{Amount: decimal.RequireFromString(amount), Currency: "USD"}
		require.Equal(t, want, m.String())
		content, err := json.Marshal(m)
		require.NoError(t, err)
		var back commerce.Money
		require.NoError(t, json.Unmarshal(content, &back))
		require.True(t, m.Amount.Equal(back.Amount), "%s", content)
	}
	require.True(t, commerce.Money{}.IsZero())
	require.Empty(t, commerce.Money{}.String())
	require.False(t, commerce.Money{Currency: "EUR"}.IsZero(), "zero euros is an amount")
	require.Equal(t, "2.5", commerce.Money{Amount: decimal.RequireFromString("2.5")}.String())
}

func TestFailureReason(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name            string
		text            map[string]string
		message, reason string
	}{
		{"nothing told", nil, "", ""},
		{"a whole message", map[string]string{"en_US": " Timeout exception "}, " Timeout exception ", "Timeout exception"},
		{"the sentence after Reason", map[string]string{"en_US": "Failed. Reason: no answer. Try later."},
			"Failed. Reason: no answer. Try later.", "no answer"},
		{"up to the end of the line", map[string]string{"en_US": "Reason: no answer\nTrace: x"},
			"Reason: no answer\nTrace: x", "no answer"},
		{"up to the end", map[string]string{"en_US": "Reason: no answer."}, "Reason: no answer.", "no answer"},
		{"a dot inside a word ends nothing", map[string]string{"en_US": "Reason: 502 from api.connect.cloudblue.com. Bye"},
			"Reason: 502 from api.connect.cloudblue.com. Bye", "502 from api.connect.cloudblue.com"},
		{"en_US comes first", map[string]string{"de_DE": "a", "en_GB": "b", "en_US": "c"}, "c", "c"},
		{"then another English", map[string]string{"de_DE": "a", "en_GB": "b"}, "b", "b"},
		{"an empty text tells nothing", map[string]string{"en_US": "", "en_GB": "", "de_DE": "a"}, "a", "a"},
		{"only empty texts", map[string]string{"en_US": "", "de_DE": ""}, "", ""},
		{"then the first by name", map[string]string{"pl_PL": "b", "de_DE": "a"}, "a", "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := commerce.Failure{Messages: tc.text}
			require.Equal(t, tc.message, f.Message())
			require.Equal(t, tc.reason, f.Reason())
		})
	}
}

func TestErrorIs(t *testing.T) {
	t.Parallel()
	all := []error{commerce.ErrNotFound, commerce.ErrUnauthorized, commerce.ErrForbidden, commerce.ErrConflict,
		commerce.ErrRateLimited, commerce.ErrUnavailable}
	for status, want := range map[int]error{
		404: commerce.ErrNotFound, 401: commerce.ErrUnauthorized, 403: commerce.ErrForbidden, 409: commerce.ErrConflict,
		429: commerce.ErrRateLimited, 408: commerce.ErrUnavailable, 500: commerce.ErrUnavailable,
		503: commerce.ErrUnavailable,
		400: nil, 0: nil,
	} {
		err := fmt.Errorf("wrapped: %w", &commerce.Error{Op: "read order", HTTPStatus: status})
		for _, sentinel := range all {
			require.Equal(t, errors.Is(want, sentinel), errors.Is(err, sentinel), "%d %v", status, sentinel)
		}
	}
	require.ErrorIs(t, &commerce.Error{Err: fmt.Errorf("%w: reset", commerce.ErrUnavailable)}, commerce.ErrUnavailable)
}

func TestErrorIsOneLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  commerce.Error
		want string
	}{
		{commerce.Error{Op: "push order", Method: "POST", URL: "https://h/x", HTTPStatus: 409, Code: "Conflict",
			Message: "no\nsuch move", CorrelationID: "c-1", RetryAfter: time.Second},
			"commerce: push order: HTTP 409 Conflict: Conflict: no such move (POST https://h/x) [correlation c-1]"},
		{commerce.Error{Op: "list orders", Err: errors.New("connection\nrefused")},
			"commerce: list orders: connection refused"},
		{commerce.Error{Op: "list orders", HTTPStatus: 502, Body: "<html>\n" + strings.Repeat("x", 100)},
			`commerce: list orders: HTTP 502 Bad Gateway: the body starts "<html> ` + strings.Repeat("x", 73) + `…"`},
		{commerce.Error{Op: "read order", Message: "same", Err: errors.New("same")}, "commerce: read order: same"},
	} {
		require.EqualError(t, &tc.err, tc.want)
	}
}

func ExampleFailure_Reason() {
	f := commerce.Failure{Messages: map[string]string{"en_US": "Provisioning failed. Reason: Request to OA timed out. " +
		"Please contact support."}}
	fmt.Println(f.Reason())
	// Output: Request to OA timed out
}

func TestErrorNotOffered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  commerce.Error
		want bool
	}{
		"a conflict":    {commerce.Error{HTTPStatus: 409, Delivery: commerce.DeliveryRefused}, true},
		"a bad request": {commerce.Error{HTTPStatus: 400, Delivery: commerce.DeliveryRefused}, true},
		"a fault": {commerce.Error{HTTPStatus: 200, Delivery: commerce.DeliveryRefused,
			Err: &commerce.Fault{Code: 5}}, true},
		"an adapter without HTTP":  {commerce.Error{Delivery: commerce.DeliveryRefused}, true},
		"a lost answer":            {commerce.Error{HTTPStatus: 409}, false},
		"a call that was not sent": {commerce.Error{Delivery: commerce.DeliveryNotSent}, false},
		"refused credentials":      {commerce.Error{HTTPStatus: 401, Delivery: commerce.DeliveryRefused}, false},
		"a user who may not":       {commerce.Error{HTTPStatus: 403, Delivery: commerce.DeliveryRefused}, false},
		"a signature that does not fit": {commerce.Error{HTTPStatus: 200, Delivery: commerce.DeliveryRefused,
			Err: commerce.ErrForbidden}, false},
		"no such order, said with a 400": {commerce.Error{HTTPStatus: 400, Delivery: commerce.DeliveryRefused,
			Err: commerce.ErrNotFound}, false},
		"too many calls": {commerce.Error{HTTPStatus: 429, Delivery: commerce.DeliveryRefused}, false},
		"a call to be patient": {commerce.Error{HTTPStatus: 409, Delivery: commerce.DeliveryRefused, RetryAfter: time.Second},
			false},
		"a redirect": {commerce.Error{HTTPStatus: 302, Delivery: commerce.DeliveryRefused}, false},
		"trouble":    {commerce.Error{HTTPStatus: 500, Delivery: commerce.DeliveryRefused}, false},
	} {
		require.Equal(t, tt.want, tt.err.NotOffered(), name)
	}
}
