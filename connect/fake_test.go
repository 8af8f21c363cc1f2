package connect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// fakeRow is a request as the fake server stores it.
type fakeRow struct {
	id, kind, status     string
	created              time.Time
	asset, tenant, subID string
	product              string
}

func (r fakeRow) wire() map[string]any {
	var externalID any
	if r.subID != "" {
		externalID = r.subID
	}
	return map[string]any{
		"id": r.id, "type": r.kind, "status": r.status, "created": r.created.Format(time.RFC3339Nano),
		"asset": map[string]any{
			"id": r.asset, "external_id": externalID, "external_uid": r.tenant,
			"product": map[string]any{"id": r.product},
		},
	}
}

func (r fakeRow) field(name string) string {
	return map[string]string{
		"type": r.kind, "status": r.status, "asset.external_uid": r.tenant, "asset.external_id": r.subID,
		"asset.product.id": r.product, "created": r.created.Format(time.RFC3339),
	}[name]
}

// fakeConnect is a transport that answers lists of requests as Connect does.
type fakeConnect struct {
	mu      sync.Mutex
	rows    []fakeRow
	most    int                               // the largest page; 0: no bound
	noRange bool                              // answer without Content-Range
	total   func(offset, rows int) int        // what Content-Range says; nil: the truth
	add     func(query string) string         // one row more, as it is sent; "" for none
	before  func(call int, f *fakeConnect)    // may change the rows before an answer
	refuse  func(query string) *http.Response // may answer in place of the fake
	queries []string
}

func (f *fakeConnect) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	query, err := url.PathUnescape(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	f.queries = append(f.queries, query)
	if f.before != nil {
		f.before(len(f.queries), f)
	}
	if f.refuse != nil {
		if resp := f.refuse(query); resp != nil {
			resp.Request = r
			return resp, nil
		}
	}
	terms, err := rql.Parse(rql.Connect, query)
	if err != nil {
		return nil, err
	}
	rows, limit, offset, err := f.find(terms)
	if err != nil {
		return nil, err
	}
	odd := ""
	if f.add != nil {
		odd = f.add(query)
	}
	total := len(rows)
	if odd != "" {
		total++
	}
	if f.most > 0 {
		limit = min(limit, f.most)
	}
	out := make([]any, 0, total)
	for _, row := range rows {
		out = append(out, row.wire())
	}
	if odd != "" {
		out = append(out, json.RawMessage(odd))
	}
	out = out[min(offset, total):min(offset+limit, total)]
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	resp := answer(http.StatusOK, string(body))
	resp.Request = r
	if f.total != nil {
		total = f.total(offset, len(out))
	}
	if !f.noRange {
		resp.Header.Set("Content-Range", fmt.Sprintf("items %d-%d/%d", offset, max(0, offset+len(out)-1), total))
	}
	return resp, nil
}

// find evaluates what the client is known to send; anything else is an error.
func (f *fakeConnect) find(terms []rql.Expr) (rows []fakeRow, limit, offset int, err error) {
	rows, limit = slices.Clone(f.rows), 100
	for _, t := range terms {
		name := t.Args[0].Value
		keep := func(fakeRow) bool { return true }
		switch {
		case t.Op == "select":
			continue
		case t.Op == "ordering":
			slices.SortStableFunc(rows, func(a, b fakeRow) int {
				if name == "-created" {
					a, b = b, a
				}
				return a.created.Compare(b.created)
			})
		case t.Op == "eq" && name == "limit":
			limit, err = strconv.Atoi(t.Args[1].Value)
		case t.Op == "eq" && name == "offset":
			offset, err = strconv.Atoi(t.Args[1].Value)
		case t.Op == "eq":
			keep = func(r fakeRow) bool { return r.field(name) == t.Args[1].Value }
		case t.Op == "in":
			keep = func(r fakeRow) bool {
				return slices.ContainsFunc(t.Args[1].List, func(v rql.Arg) bool { return v.Value == r.field(name) })
			}
		case t.Op == "ge":
			keep = func(r fakeRow) bool { return r.field(name) >= t.Args[1].Value }
		case t.Op == "lt":
			keep = func(r fakeRow) bool { return r.field(name) < t.Args[1].Value }
		default:
			err = fmt.Errorf("the fake does not know %s", t.Op)
		}
		if err != nil {
			return nil, 0, 0, err
		}
		rows = slices.DeleteFunc(rows, func(r fakeRow) bool { return !keep(r) })
	}
	return rows, limit, offset, nil
}

// whole is a list that is all there is.
func whole(body string, rows int) *http.Response {
	resp := answer(http.StatusOK, body)
	resp.Header.Set("Content-Range", fmt.Sprintf("items 0-%d/%d", max(0, rows-1), rows))
	return resp
}

// page is an answer of something before Connect.
func page(status int, body string) *http.Response {
	resp := answer(status, body)
	resp.Header = http.Header{"Content-Type": {"text/html"}}
	return resp
}

// purchases are n purchases of n tenants, a minute apart.
func purchases(n int) []fakeRow {
	rows := make([]fakeRow, n)
	for i := range rows {
		rows[i] = fakeRow{
			id: fmt.Sprintf("PR-%04d-001", i), kind: "purchase", status: "pending",
			created: epoch.Add(time.Duration(i) * time.Minute),
			asset:   fmt.Sprintf("AS-%04d", i), tenant: fmt.Sprintf("tenant-%04d", i), subID: strconv.Itoa(1000 + i),
		}
	}
	return rows
}
