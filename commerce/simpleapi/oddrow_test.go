package simpleapi_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// oddFields are fields that cannot be read with certainty, and what is said of them.
var oddFields = map[string]string{
	`"creationDate":"yesterday"`: `creationDate must be a time such as 2026-11-01T10:00:00Z,` +
		` not "yesterday"`,
	`"creationDate":1793527200`: "creationDate must be a time such as 2026-11-01T10:00:00Z," +
		" not 1793527200",
	`"creationDate":"10000-01-01T00:00:00Z"`: "creationDate must be a time",
	`"creationDate":"0000-12-31T00:00:00Z"`:  "creationDate has the year 0",
	`"creationDate":[]`:                      "creationDate must be a text or a number, not []",
	`"total":[1]`:                            "total must be a text or a number, not [1]",
	`"total":{"currency":1,"amount":{}}`:     "total must be a text or a number, not {}",
	`"total":{"currency":[],"amount":"1"}`:   "total currency must be a text or a number, not []",
	`"total":"a lot"`: `total must have a plain decimal number as value, not "a ` +
		`lot"`,
	`"total":1e70`:        "total must have a plain decimal number as value, not 1e70",
	`"total":1e999999999`: "total must have a plain decimal number as value, not 1e999999999",
	`"total":{"amount":"` + strings.Repeat("9", 100) + `"}`: "a number must have at most 64 characters, not 100",
	`"total":{"amount":` + strings.Repeat("9", 1<<20) + `}`: "a number must have at most 64 characters, not 1048576",
	`"total":"` + strings.Repeat("9", 1<<20) + `"`:          "a number must have at most 64 characters, not 1048576",
	`"creationDate":"2026-11-19T10:00Z"`: `creationDate must be a time with seconds, not ` +
		`"2026-11-19T10:00Z"`,
	`"statusCode":{}`:                 "statusCode must be a text or a number, not {}",
	`"status":true,"statusCode":"PF"`: "status must be a text or a number, not true",
	`"type":{}`:                       "type must be a text or a number, not {}",
	`"customerId":` + strings.Repeat("1",
		1<<20): "customerId cannot be read: a number must have at most 64 characters",
	`"subscriptions":"1"`:    `subscriptions must be a list, not "1"`,
	`"subscriptions":[[],7]`: "subscriptions [0] must be a text or a number, not []",
	`"products":[1]`:         "products [0] must be an object, not 1",
}

func goodRow(id string) string {
	return `{"id":"` + id + `","orderNumber":"SO` + id +
		`","type":"sales","status":"error","statusCode":"PF","creationDate":"2026-11-01T00:00:00Z"}`
}

// oddRow has fields besides those of a good row, or in their place: the last counts.
func oddRow(id, fields string) string {
	return strings.TrimSuffix(goodRow(id), "}") + "," + fields + "}"
}

// pagesOf is a server that has rows, and sends as many of them as it is asked for.
func pagesOf(rows []string) answer {
	return func(r *http.Request) (*http.Response, error) {
		start, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		count, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		start = min(start, len(rows))
		page := rows[start:min(start+count, len(rows))]
		return httpmock.NewStringResponse(200,
			fmt.Sprintf(`{"data":[%s],"pagination":{"total":%d}}`, strings.Join(page, ","), len(rows))), nil
	}
}

func TestOrdersYieldsProblems(t *testing.T) {
	t.Parallel()
	for fields, problem := range oddFields {
		c, _ := client(t, pagesOf([]string{goodRow("1"), oddRow("2", fields), goodRow("3")}))
		start := time.Now()
		orders, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
		require.NoError(t, err)
		require.Less(t, time.Since(start), 10*time.Second, "long numbers must not take minutes")
		byID := map[string]*commerce.Order{}
		for _, o := range orders {
			byID[o.ID] = o
		}
		require.Len(t, byID, 3)
		require.Empty(t, byID["1"].Problems)
		require.Empty(t, byID["3"].Problems)
		require.Len(t, byID["2"].Problems, 1)
		require.Contains(t, byID["2"].Problems[0], problem)
	}
}

func TestPlanHoldsOrdersWithProblems(t *testing.T) {
	t.Parallel()
	rows := []string{goodRow("1")}
	for fields := range oddFields {
		rows = append(rows, oddRow(strconv.Itoa(len(rows)+1), fields))
	}
	rows = append(rows, `null`, `17`, `[]`, `"1"`, `{}`, `{"id":"","status":"error"}`, `{"id":" ","status":"error"}`,
		`{"id":[1],"status":"error"}`)
	rows = append(rows, goodRow("1000000"))
	list := pagesOf(rows)
	c, seen := client(t, func(r *http.Request) (*http.Response, error) {
		if id, one := strings.CutPrefix(r.URL.Path, "/marketplace/orders/"); one {
			return httpmock.NewStringResponse(200, goodRow(id)), nil
		}
		return list(r)
	})
	p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: resubmit.SystemsOf(c, c), Filter: filter.Everything(), IgnoreConnect: true,
		Journal:  new(resubmit.MemoryJournal),
		Override: []string{"1", "1000000"},
	})
	require.NoError(t, err)
	require.Equal(t, plan.ActionCounts{Total: len(rows), Resubmit: 2, Hold: len(rows) - 2}, p.Counts())
	asked := len(seen.all())
	for e, err := range p.Entries() {
		require.NoError(t, err)
		if e.Decision.RuleID == "unreadable-row" && strings.HasPrefix(e.OrderID, "unreadable-row:") {
			require.Equal(t, commerce.DeliveryNotSent, commerceError(t, c.Push(t.Context(), e.OrderID, "PD")).Delivery)
		}
	}
	require.Len(t, seen.all(), asked)
}
