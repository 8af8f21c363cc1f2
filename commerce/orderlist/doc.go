// Package orderlist lists orders from a table that you have: the rows of an SQL query, or a CSV file. It is for billing
// tools that already know their failed orders. The planner reads each order that it selects from Commerce, so a table
// that is out of date does no harm, but an order that it lacks is not resubmitted.
//
//	lister := orderlist.FromRows(func(ctx context.Context) (*sql.Rows, error) {
//		return db.QueryContext(ctx, `SELECT order_uuid AS id, order_no AS number, status, placed_at FROM failed_orders`)
//	})
//	systems := resubmit.SystemsOf(client, lister) // client reads and pushes
//
// The columns have names in any order. Each row needs an id, which is that of the client, and a status or
// [WithStatus]:
//
//	id, billing_id, number
//	type                 "SO", "CH" and so on
//	status               "PF" and so on
//	placed_at, failed_at a time, or a text; see [WithTimeLayout]
//	vendor_account_id, channel, customer_id, customer_name, tenant_id
//	subscription_ids     separated by blanks
//	amount, currency     "12.50", "EUR"
//	failure              why the order failed
//
// Other columns are an error, because they may be misspelled ones, unless [WithIgnored] names them. [WithColumn] gives
// a column another name.
//
// # Errors and concurrency
//
// An error ends the list and names the row and the column: "row 7, column placed_at". Two rows with one id are an
// error, too. A list reads the whole table before it yields the first order, so that it can be sorted, and holds the
// orders that match in memory. Errors match [commerce.ErrUnavailable] if the connection failed. A Lister is safe for
// concurrent use if its function is.
package orderlist
