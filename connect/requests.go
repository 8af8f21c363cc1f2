package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// RequestQuery selects fulfillment requests: those that match one value of each field that is
// set. The zero value selects all that the key may read. The order is oldest first.
type RequestQuery struct {
	Types    []RequestType
	Statuses []RequestStatus
	// Tenants are values of asset.external_uid, Subscriptions of asset.external_id.
	Tenants       []string
	Subscriptions []string
	Products      []string // "PRD-…"
	Hubs          []string // "HB-…"
	// CreatedFrom and CreatedTo limit the time of creation: from ≤ t < to. Zero is no
	// limit.
	CreatedFrom time.Time
	CreatedTo   time.Time
	NewestFirst bool
	// Limit is the maximum number of requests; 0 is all. CountRequests ignores it.
	Limit int
	// RQL is an additional condition in the Resource Query Language, not percent-encoded:
	// "eq(asset.status,active)&out(assignee,(null()))". Fields that Connect does not document
	// as filters are rejected, see [WithFilterFields]; so are ordering, selection and paging.
	RQL string
}

// maxQuery keeps request lines below 8 KiB, above which servers reject them.
const maxQuery = 7500

var errTooLong = errors.New("servers refuse more than about 8 KiB: ask for fewer values at once")

// Requests lists fulfillment requests, each once. An error ends the sequence.
//
// The server filters by all fields; the client checks them again, also the condition RQL as
// far as the requests have its fields, and leaves out requests that do not match. At the end it
// logs a warning with their number and the first few. If no request matches, that is an error:
// Connect ignores conditions that it does not know (inferred, connect/WIRE.md#14.3).
//
// Requests that enter or leave the list meanwhile may be missing, others are not, even if
// many were created at the same time. The total of an answer is not trusted: one more call
// checks the end. A list that cannot be completed ends with an error.
func (c *Client) Requests(ctx context.Context, q RequestQuery) iter.Seq2[*Request, error] {
	const op = "list requests"
	terms, more, err := c.conditions(&q)
	if err != nil {
		return failing[*Request](&Error{Op: op, Err: err})
	}
	order := "created"
	if q.NewestFirst {
		order = "-created"
	}
	query, err := encode(slices.Concat(terms, more, []rql.Expr{rql.Call("ordering", rql.Val(order))}))
	if err != nil {
		return failing[*Request](&Error{Op: op, Err: err})
	}
	rows := walk(ctx, c, requestList(op, query, q.pageSize(c.pageSize), q.NewestFirst))
	rows = matching(c, op, rows, func(r *Request) (string, string) {
		return r.ID, cmp.Or(q.mismatch(r), violated(more, r.Raw))
	})
	return func(yield func(*Request, error) bool) {
		n := 0
		for r, err := range rows {
			if err == nil && !q.inTime(r) {
				continue
			}
			if n++; !yield(r, err) || n == q.Limit || err != nil {
				return
			}
		}
	}
}

// matching yields the rows for which check returns no reason, and reports the others at the end, by
// the id and the reason that it returns. An error ends the sequence.
func matching[T any](c *Client, op string, rows iter.Seq2[T, error], check func(T) (id, reason string),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var odd mismatch.Rows
		for row, err := range rows {
			if err == nil {
				if id, reason := check(row); reason != "" {
					odd.Add(id, reason)
					continue
				}
				odd.Matched()
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := odd.Err(); err != nil {
			var none T
			yield(none, &Error{Op: op, Err: err})
		} else if odd.Count() > 0 {
			c.logger.Warn("Connect listed rows that it was asked to leave out", "op", op, "rows", odd.Count(),
				"reason", odd.String())
		}
	}
}

// Request reads one fulfillment request, "PR-…". The error matches [ErrNotFound] if it does
// not exist.
func (c *Client) Request(ctx context.Context, id string) (*Request, error) {
	return object(ctx, c, "read request", "requests", id, decodeRequest)
}

// CountRequests returns the number of requests that the server finds for a query. Nothing can check
// that the server applied the whole query; [Client.Requests] checks each request.
func (c *Client) CountRequests(ctx context.Context, q RequestQuery) (int, error) {
	const op = "count requests"
	terms, more, err := c.conditions(&q)
	if err != nil {
		return 0, &Error{Op: op, Err: err}
	}
	query, err := encode(slices.Concat(terms, more))
	if err != nil {
		return 0, &Error{Op: op, Err: err}
	}
	return c.count(ctx, op, "requests", query)
}

// requestList is a list of requests that are ordered by created. Connect cannot order by
// a unique field in addition (connect/WIRE.md#2.3).
func requestList(op, query string, size int, newestFirst bool) list[*Request] {
	return list[*Request]{
		op: op, path: "requests", terms: query, size: size, decode: decodeRequest,
		row: func(r *Request) paging.Row {
			return paging.Row{ID: r.ID, Key: paging.TimeKey(r.Created, newestFirst)}
		},
	}
}

func (q *RequestQuery) pageSize(most int) int {
	if q.Limit > 0 {
		return min(q.Limit, most)
	}
	return most
}

// conditions are the conditions of the query; more are those of its RQL.
func (c *Client) conditions(q *RequestQuery) (terms, more []rql.Expr, err error) {
	if terms, err = q.terms(); err == nil && q.RQL != "" {
		more, err = condition(q.RQL, c.filterFields)
	}
	return terms, more, err
}

// terms are the conditions of the fields of the query.
func (q *RequestQuery) terms() ([]rql.Expr, error) {
	if q.Limit < 0 {
		return nil, fmt.Errorf("the limit %d is negative: 0 means all", q.Limit)
	}
	if !q.CreatedFrom.IsZero() && !q.CreatedTo.IsZero() && !q.CreatedFrom.Before(q.CreatedTo) {
		return nil, fmt.Errorf("CreatedTo %s is not after CreatedFrom %s", wireTime(q.CreatedTo), wireTime(q.CreatedFrom))
	}
	var terms []rql.Expr
	for _, f := range []struct {
		field, property string
		values          []string
	}{
		{"Types", "type", plain(q.Types)},
		{"Statuses", "status", plain(q.Statuses)},
		{"Tenants", "asset.external_uid", q.Tenants},
		{"Subscriptions", "asset.external_id", q.Subscriptions},
		{"Products", "asset.product.id", q.Products},
		{"Hubs", "asset.connection.hub.id", q.Hubs},
	} {
		for i, v := range f.values {
			if v == "" {
				return nil, fmt.Errorf("%s[%d] is empty", f.field, i)
			}
		}
		if len(f.values) > 0 {
			terms = append(terms, anyOf(f.property, f.values))
		}
	}
	// Whole seconds are what every RQL parser reads; matches is exact.
	from, to := q.asked()
	if !from.IsZero() {
		terms = append(terms, rql.Call("ge", rql.Val("created"), rql.Val(wireTime(from))))
	}
	if !to.IsZero() {
		terms = append(terms, rql.Call("lt", rql.Val("created"), rql.Val(wireTime(to))))
	}
	return terms, nil
}

// asked returns the limits of the time of creation, rounded outwards to seconds.
func (q *RequestQuery) asked() (from, to time.Time) {
	if from = q.CreatedFrom; !from.IsZero() {
		from = from.Truncate(time.Second)
	}
	if to = q.CreatedTo; !to.IsZero() {
		to = to.Add(time.Second - 1).Truncate(time.Second)
	}
	return from, to
}

// inTime reports whether a request is within the exact limits of the time of creation.
func (q *RequestQuery) inTime(r *Request) bool {
	return (q.CreatedFrom.IsZero() || !r.Created.Before(q.CreatedFrom)) &&
		(q.CreatedTo.IsZero() || r.Created.Before(q.CreatedTo))
}

// mismatch returns why the server should have left a request out, or "". A request without a
// product or a hub is kept.
func (q *RequestQuery) mismatch(r *Request) string {
	from, to := q.asked()
	switch {
	case len(q.Types) > 0 && !slices.Contains(q.Types, r.Type):
		return field("type", string(r.Type))
	case len(q.Statuses) > 0 && !slices.Contains(q.Statuses, r.Status):
		return field("status", string(r.Status))
	case len(q.Tenants) > 0 && !oneOf(q.Tenants, r.Asset.ExternalUID):
		return field("tenant", r.Asset.ExternalUID)
	case len(q.Products) > 0 && r.Asset.ProductID != "" && !oneOf(q.Products, r.Asset.ProductID):
		return field("product", r.Asset.ProductID)
	case len(q.Hubs) > 0 && r.Asset.HubID != "" && !oneOf(q.Hubs, r.Asset.HubID):
		return field("hub", r.Asset.HubID)
	case len(q.Subscriptions) > 0 && !slices.Contains(q.Subscriptions, r.Asset.ExternalID):
		return field("subscription", r.Asset.ExternalID)
	case !from.IsZero() && r.Created.Before(from), !to.IsZero() && !r.Created.Before(to):
		return "created " + wireTime(r.Created)
	default:
		return ""
	}
}

// oneOf reports whether an id is one of ids, without regard to case.
func oneOf(ids []string, id string) bool {
	return slices.ContainsFunc(ids, func(one string) bool { return strings.EqualFold(one, id) })
}

func field(name, value string) string {
	if value == "" {
		return "no " + name
	}
	return fmt.Sprintf("%s %q", name, text.Clip(value, 40))
}

// wireTime writes a time in UTC with Z, so that no + appears, which the server
// would not decode (connect/WIRE.md#3).
func wireTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// anyOf is eq for one value and in for several.
func anyOf(property string, values []string) rql.Expr {
	if len(values) == 1 {
		return rql.Call("eq", rql.Val(property), rql.Val(values[0]))
	}
	return rql.Call("in", rql.Val(property), rql.Vals(values...))
}

func plain[S ~string](values []S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// encode percent-encodes RQL.
func encode(terms []rql.Expr) (string, error) {
	if len(terms) == 0 {
		return "", nil
	}
	formatted, err := rql.Format(rql.Connect, "&", terms...)
	if err != nil {
		return "", err
	}
	query := rql.Escape(formatted)
	if len(query) > maxQuery {
		return "", fmt.Errorf("the query is %d bytes long, %w", len(query), errTooLong)
	}
	return query, nil
}

func failing[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
