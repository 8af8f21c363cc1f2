package connect

import (
	"context"
	"errors"
)

// CheckAccess checks that the API key is valid and may read requests. If not, the error says
// what is missing and matches [ErrUnauthorized] or [ErrForbidden].
func (c *Client) CheckAccess(ctx context.Context) error {
	const op = "check access"
	query, err := withSlice("", 1, 0)
	if err != nil {
		return &Error{Op: op, Err: err}
	}
	// A key that may not read accounts is valid, and this client does not need them.
	_, _, err = c.rows(ctx, op, "accounts", query)
	switch {
	case errors.Is(err, ErrUnauthorized):
		return because(err, "the API key is wrong, revoked or disabled")
	case err != nil && !errors.Is(err, ErrForbidden):
		return err
	}
	_, err = c.count(ctx, op, "requests", "")
	if errors.Is(err, ErrForbidden) {
		return because(err, "the API key lacks the permission Subscriptions, without which requests cannot be read")
	}
	return err
}

// because adds the meaning of a refusal.
func because(err error, meaning string) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Err == nil {
		e.Err = errors.New(meaning)
	}
	return err
}
