package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/number"
)

// Order reads one order by its numeric id. Billing reports no failure, transitions or
// subscriptions: Failure is zero, and Transitions, SubscriptionIDs and Raw are empty.
// [Client.Row] returns further columns.
func (c *Client) Order(ctx context.Context, id string) (*commerce.Order, error) {
	row, err := c.Row(ctx, id)
	if err != nil {
		return nil, err
	}
	o := c.order(row)
	o.ID, o.BillingID = id, id // the row may have none that can be read
	return o, nil
}

// Row reads one order by its numeric id, as Billing returns it. Columns that cannot be read
// are listed in its Problems.
func (c *Client) Row(ctx context.Context, id string) (*OrderRow, error) {
	n, err := orderID(id)
	if err != nil {
		return nil, notSent(opRead, err)
	}
	var row OrderRow
	call := Call{Method: "GetOrder_API", Params: []any{n}, ReadOnly: true}
	if err := c.execute(ctx, opRead, call, row.read); err != nil {
		return nil, err
	}
	if c.creds.secrets != nil {
		for i, problem := range row.Problems {
			row.Problems[i] = scrub(problem, c.creds.secrets())
		}
	}
	if row.OrderID != Null && row.OrderID != NullInt(n) {
		return nil, &commerce.Error{Op: opRead, Err: fmt.Errorf("order %d was asked for, but %s came back", n, row.OrderID)}
	}
	return &row, nil
}

// Push asks Commerce to move an order along one manual transition of its flow, with
// OrderStatusChange_API. The call must be signed over the current order, as documented
// (commerce/WIRE.md#1.5), so Push first reads the order; the change itself is sent at most
// once. A nil error means that provisioning was requested, not that it is done. After an
// error whose Delivery is neither commerce.DeliveryNotSent nor DeliveryRefused, the order may have been moved; for
// faults see [WithFaultDelivery]. A fault about the signature matches commerce.ErrForbidden
// (inferred: no text of it is published).
func (c *Client) Push(ctx context.Context, id string, to commerce.Status) error {
	if !fields.IsCode(string(to)) {
		return notSent(opPush, fmt.Errorf("%q is not a status: it must be letters and digits, such as "+
			"%q", to, commerce.StatusPaid))
	}
	row, err := c.Row(ctx, id)
	if err != nil {
		return unread(err)
	}
	if len(row.Problems) > 0 {
		return notSent(opPush, fmt.Errorf("order %s is not pushed because it could not be read completely: %s", id,
			strings.Join(row.Problems, "; ")))
	}
	signed, err := c.SignedText(row)
	if err != nil {
		return notSent(opPush, fmt.Errorf("order %s cannot be signed: %w", id, err))
	}
	signature := sign(signed)
	call := Call{
		Method: "OrderStatusChange_API", Secrets: []string{signature},
		Params: []any{row.OrderID, string(to), signature},
	}
	if c.swapped {
		call.Params = []any{row.OrderID, signature, string(to)}
	}
	return c.execute(ctx, opPush, call, nil)
}

// unread returns the error of a push that was not sent because the read before it failed.
func unread(err error) error {
	e, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		return notSent(opPush, err)
	}
	changed := *e
	changed.Op, changed.Delivery = opPush+" (reading it for the signature)", commerce.DeliveryNotSent
	return &changed
}

// orderID parses a numeric id.
func orderID(id string) (int, error) {
	n, err := number.ParseInt(id, 10, 32)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != id {
		return 0, fmt.Errorf("%q is not the id of an order in Billing, which is a number such as 1000027", clip(id))
	}
	return int(n), nil
}

func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
