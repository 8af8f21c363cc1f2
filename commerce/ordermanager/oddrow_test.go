package ordermanager_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// oddRows are rows with something that cannot be read with certainty, each with what is
// said of it. %s is the rest of a good row.
var oddRows = map[string]struct{ row, problem string }{
	"a date as a number": {`{"orderDate":1793527200,%s`, "orderDate must be a time such as"},
	"a date in words":    {`{"orderDate":"yesterday",%s`, "orderDate must be a time such as"},
	"a date without seconds": {`{"orderDate":"2026-11-19T10:00Z",%s`,
		"orderDate must be a time with seconds, not"},
	"a date without seconds and zone": {`{"orderDate":"2026-11-19 10:00",%s`,
		"orderDate must be a time with seconds, not"},
	"a day":                      {`{"orderDate":"2026-11-19",%s`, "orderDate must be a time with seconds, not"},
	"a date with a strange zone": {`{"orderDate":"Thu, 19 Nov 2026 10:00:00 PST",%s`, "orderDate must be a time such as"},
	"a date as an object":        {`{"orderDate":{},%s`, "orderDate must be a text or a number"},
	"a year after 9999":          {`{"orderDate":"10000-01-01T00:00:00Z",%s`, "orderDate must be a time such as"},
	"a year after 9999 in UTC":   {`{"orderDate":"9999-12-31T23:59:59-01:00",%s`, "orderDate has the year 10000"},
	"a year before 1":            {`{"orderDate":"0000-12-31T23:59:59Z",%s`, "orderDate has the year 0"},
	"an amount with exponent 70": {`{"total":{"code":"USD","value":1e70},%s`, "total must have a plain decimal number"},
	"an amount with exponent -70": {`{"total":{"code":"USD","value":"1e-70"},%s`,
		"total must have a plain decimal number"},
	"an amount of 100 digits": {`{"total":{"code":"USD","value":` + strings.Repeat("9", 100) + `},%s`,
		"total cannot be read: a number must have at most 64 characters"},
	"an amount of 100 as text": {`{"total":{"code":"USD","value":"` + strings.Repeat("9", 100) + `"},%s`,
		"total must have a plain decimal number"},
	"an amount of 1 MiB": {`{"total":{"code":"USD","value":` + strings.Repeat("9", 1<<20) + `},%s`,
		"total cannot be read: a number must have at most 64 characters"},
	"an amount of 1 MiB as text": {`{"total":{"code":"USD","value":"` + strings.Repeat("9", 1<<20) + `"},%s`,
		"total must have a plain decimal number"},
	"a huge exponent": {`{"total":{"code":"USD","value":1e2147483647},%s`,
		"total must have a plain decimal number"},
	"an amount alone":        {`{"total":12,%s`, "total must be an object"},
	"a currency as a number": {`{"total":{"code":1,"value":1},%s`, "total must be an object"},
	"a status as an object":  {`{"status":{},%s`, "status must be a text or a number"},
	"a type as a list":       {`{"type":[],%s`, "type must be a text or a number"},
	"a number as true":       {`{"orderNumber":true,%s`, "orderNumber must be a text or a number"},
	"a customer as a list":   {`{"endCustomerName":["a"],%s`, "endCustomerName must be a text or a number"},
	"a reason as a list":     {`{"errorDetails":[1],%s`, "errorDetails must be a text, or texts by locale"},
	"moves as a list": {`{"possiblePushToStatus":["PD"],%s`,
		"possiblePushToStatus must be an object of statuses"},
	"a label as a number":      {`{"possiblePushToStatus":{"PD":1},%s`, "possiblePushToStatus of PD must be a text"},
	"subscriptions as a text":  {`{"subscriptions":"1",%s`, "subscriptions must be a list"},
	"a subscription as a list": {`{"subscriptions":[[1],7],%s`, "subscriptions [0] must be a text or a number"},
	"an id of 1 MiB": {`{"customerId":` + strings.Repeat("1", 1<<20) + `,%s`,
		"customerId cannot be read: a number must have at most 64 characters"},
}

// rowsWithout are rows by which no order can be read.
var rowsWithout = map[string]string{
	"null": `null`, "a number": `17`, "a list": `[]`, "a text": `"SO000001"`, "no fields": `{}`,
	"no id": `{"orderNumber":"SO1","status":"PF"}`, "an id that is null": `{"orderId":null,"status":"PF"}`,
	"an empty id": `{"orderId":"","status":"PF"}`, "a blank id": `{"orderId":" \t","status":"PF"}`,
	"an id as a list": `{"orderId":[1],"status":"PF"}`,
}

func goodRow(id string) string {
	return fmt.Sprintf(
		`"orderId":"%s","orderNumber":"SO%s","type":"SO","status":"PF","orderDate":"2026-11-19T10:00:00Z",`+
			`"possiblePushToStatus":{"PD":{}}}`, id, id)
}

// oddRow is a good row with another field in the place of its own, as the last of two
// fields with one name would count.
func oddRow(row, id string) string {
	key, _, _ := strings.Cut(strings.TrimPrefix(row, `{"`), `"`)
	good := goodRow(id)
	if start := strings.Index(good, `"`+key+`":`); start >= 0 {
		end := start + strings.IndexAny(good[start:]+",", ",}")
		if strings.HasPrefix(good[start:], `"possiblePushToStatus"`) {
			end = len(good) - 1
		}
		good = strings.TrimPrefix(good[:start], ",") + strings.TrimPrefix(good[end:], ",")
		good = strings.Replace(good, ",}", "}", 1)
	}
	return fmt.Sprintf(row, good)
}

func TestOrdersYieldsProblems(t *testing.T) {
	t.Parallel()
	for name, tc := range oddRows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, pagesOf([]string{"{" + goodRow("a"), oddRow(tc.row, "b"), "{" + goodRow("c")}))
			start := time.Now()
			orders, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
			require.NoError(t, err)
			require.Less(t, time.Since(start), 10*time.Second, "long numbers must not take minutes")
			require.Len(t, orders, 3)
			require.Empty(t, orders[0].Problems)
			require.Equal(t, "b", orders[1].ID)
			require.Len(t, orders[1].Problems, 1)
			require.Contains(t, orders[1].Problems[0], tc.problem)
			require.Less(t, len(orders[1].Problems[0]), 300)
			require.Empty(t, orders[2].Problems)
		})
	}
}

func TestOrdersYieldsRowsWithoutID(t *testing.T) {
	t.Parallel()
	for name, row := range rowsWithout {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, calls := client(t, pagesOf([]string{"{" + goodRow("a"), row, "{" + goodRow("c"), row}))
			orders, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
			require.NoError(t, err)
			require.Len(t, orders, 4)
			odd, twin := orders[1], orders[3]
			require.Regexp(t, `^unreadable-row:[0-9a-f]{16}-1$`, odd.ID)
			require.Equal(t, strings.TrimSuffix(odd.ID, "1")+"2", twin.ID)
			require.Contains(t, strings.Join(odd.Problems, "\n"),
				"row 2 of the list has no id by which the order could be read: ")
			require.Contains(t, strings.Join(twin.Problems, "\n"), "row 4 of the list")

			asked := len(*calls)
			_, err = c.Order(t.Context(), odd.ID)
			require.ErrorContains(t, err, "stands for a row of a list without an id")
			err = c.Push(t.Context(), odd.ID, "PD")
			require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
			require.Len(t, *calls, asked, "no request names such an id")
		})
	}
}

func TestOrdersYieldsRowsWithoutIDOverPages(t *testing.T) {
	t.Parallel()
	rows := []string{"{" + goodRow("a"), "null", "null", "{" + goodRow("b"), `{"orderId":""}`, "null", "{" + goodRow("c")}
	c, _ := client(t, pagesOf(rows), ordermanager.WithPageSize(2))
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	var good, odd int
	for _, o := range orders {
		if strings.HasPrefix(o.ID, "unreadable-row:") {
			odd++
		} else {
			good++
		}
	}
	require.Equal(t, 3, good)
	require.GreaterOrEqual(t, odd, 2, "of rows that are the same at least one is yielded")
}

func TestPlanHoldsOrdersWithProblems(t *testing.T) {
	t.Parallel()
	rows := []string{"{" + goodRow("first")}
	for _, tc := range oddRows {
		rows = append(rows, oddRow(tc.row, fmt.Sprintf("odd%d", len(rows))))
	}
	for _, row := range rowsWithout {
		rows = append(rows, row)
	}
	rows = append(rows, "{"+goodRow("last"))
	c, _ := client(t, pagesOf(rows))
	p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: resubmit.SystemsOf(c, c), Filter: filter.Everything(), IgnoreConnect: true,
		Journal:  new(resubmit.MemoryJournal),
		Override: []string{"first", "last"},
	})
	require.NoError(t, err)
	require.Equal(t, plan.ActionCounts{Total: len(rows), Resubmit: 2, Hold: len(rows) - 2}, p.Counts())
	for e, err := range p.Entries() {
		require.NoError(t, err)
		require.Equal(t, e.Decision.Action == rules.Hold, e.Decision.RuleID == "unreadable-row", "%s", e.OrderID)
	}
}

func TestOrderReturnsProblems(t *testing.T) {
	t.Parallel()
	for name, tc := range oddRows {
		o, err := read(t, oddRow(tc.row, "x"))
		require.NoError(t, err, name)
		require.Contains(t, strings.Join(o.Problems, "\n"), tc.problem)
	}
	for name, row := range rowsWithout {
		_, err := read(t, row)
		require.ErrorContains(t, err, `order "x": `, name)
		require.Regexp(t, "it is not a JSON object|it has no orderId", err.Error())
	}
}

func TestProblemsHideTheToken(t *testing.T) {
	t.Parallel()
	o, err := read(t, `{"orderId":"x","orderDate":"`+token+`"}`)
	require.NoError(t, err)
	require.Len(t, o.Problems, 1)
	require.NotContains(t, o.Problems[0], token)
}

// pagesOf is a server that has rows, and sends as many of them as it is asked for.
func pagesOf(rows []string) func(*http.Request) (*http.Response, error) {
	limit := regexp.MustCompile(`limit\((\d+),(\d+)\)`)
	return func(r *http.Request) (*http.Response, error) {
		m := limit.FindStringSubmatch(r.URL.RawQuery)
		start, _ := strconv.Atoi(m[1])
		count, _ := strconv.Atoi(m[2])
		start = min(start, len(rows))
		page := rows[start:min(start+count, len(rows))]
		return httpmock.NewStringResponse(200, "["+strings.Join(page, ",")+"]"), nil
	}
}
