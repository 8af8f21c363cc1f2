package simpleapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Patch is a change of an order. At least one field must be set.
type Patch struct {
	// StatusCode is the new status; empty means no change. The documented example is "CL";
	// that "PD" is accepted is inferred.
	StatusCode commerce.Status `json:"statusCode,omitempty"`
	// CreditCheck sets whether the customer's credit is checked while the order is
	// processed; nil means no change.
	CreditCheck *bool `json:"creditCheck,omitempty"`
}

// Push moves an order to a status with PATCH /orders/{id}. The call is documented; that it
// accepts PD is inferred (commerce/WIRE.md#3). It is sent at most once. A nil error means that
// provisioning was requested, not that it is done. After an error whose Delivery is neither
// commerce.DeliveryNotSent nor DeliveryRefused, the order may have been moved.
func (c *Client) Push(ctx context.Context, id string, to commerce.Status) error {
	if to == "" {
		return notSent(opPush, fmt.Errorf("the status is missing: it must be letters and digits, such as "+
			"%q", commerce.StatusPaid))
	}
	_, _, err := c.patch(ctx, opPush, id, Patch{StatusCode: to})
	return err
}

// Patch changes an order and returns the order in the answer. It is sent at most once; see
// [Client.Push] for its errors. A successful answer without an order is an error with Delivery
// unknown: read the order.
func (c *Client) Patch(ctx context.Context, id string, p Patch) (*commerce.Order, error) {
	resp, answer, err := c.patch(ctx, opPatch, id, p)
	if err != nil {
		return nil, err
	}
	o := c.decode(unwrap(answer))
	if o.ID == "" {
		err = errors.New(strings.Join(o.Problems, "; "))
		return nil, answered(opPatch, resp, fmt.Errorf("the answer was success without the order %q: %w", id, err))
	}
	resp.CleanTexts(o.Problems)
	return o, nil
}

// patch sends a change once and returns the answer.
func (c *Client) patch(ctx context.Context, op, id string, p Patch) (*rest.Response, []byte, error) {
	elem, err := rest.PathEscape(id)
	switch {
	case err != nil:
		return nil, nil, notSent(op, fmt.Errorf("the order's id: %w", err))
	case p.StatusCode == "" && p.CreditCheck == nil:
		return nil, nil, notSent(op, errors.New("there is nothing to change: set StatusCode or CreditCheck"))
	case p.StatusCode != "" && !fields.IsCode(string(p.StatusCode)):
		return nil, nil, notSent(op, fmt.Errorf("%q is not a status: it must be letters and digits, such as "+
			"%q", p.StatusCode, commerce.StatusPaid))
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, nil, notSent(op, err)
	}
	resp, err := c.rest.Do(ctx, rest.Request{Op: op, Method: http.MethodPatch, Path: "orders/" + elem, Body: body})
	if err != nil {
		return nil, nil, convert(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, convert(ctx, op, err)
	}
	if rest.IsPage(answer) {
		return nil, nil, answered(op, resp, fmt.Errorf("%w: the answer is a page: a proxy or a login page may "+
			"have answered instead of Commerce", commerce.ErrUnavailable))
	}
	return resp, answer, nil
}
