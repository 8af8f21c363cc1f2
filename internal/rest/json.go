package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// JSON sends a request and decodes its answer into out, which may be nil. An answer that is not
// JSON is an *Error that shows its start, whatever the status: gateways serve maintenance and
// login pages with status 200. An empty body leaves out unchanged if the status is 204, and is
// an *Error otherwise. Response.Body returns the body once more.
func (c *Client) JSON(ctx context.Context, req Request, out any) (*Response, error) {
	resp, e := c.run(ctx, &req, true)
	if e != nil {
		return nil, e
	}
	content, err := io.ReadAll(resp.Body) // from memory
	if err == nil && (len(content) > 0 || resp.Status != http.StatusNoContent) {
		err = resp.decode(content, out)
	}
	if err != nil {
		return nil, &Error{
			Op: req.Op, Method: req.Method, URL: c.address(&req) + query(req.RawQuery),
			Status: resp.Status, Header: resp.secrets.scrubHeader(resp.Header), Err: resp.Clean(err),
			Body: resp.secrets.scrub(content[:min(len(content), errorBody)]),
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return resp, nil
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}

func (r *Response) decode(content []byte, out any) error {
	text := bytes.TrimLeft(content, " \t\r\n\ufeff")
	if len(text) == 0 {
		return errors.New("the answer is empty where JSON was expected")
	}
	starting := func() string { return start(r.secrets.scrub(text[:min(len(text), 1024)])) }
	if bytes.IndexByte([]byte(`{["-0123456789tfn`), text[0]) < 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			kind = "something else"
		}
		return fmt.Errorf("the answer is not JSON but %s, starting %q: is the base URL right, or is a maintenance "+
			"page being served?",
			cmp.Or(kind, "something else"), starting())
	}
	if out == nil {
		out = new(json.RawMessage)
	}
	// Unmarshal, unlike a Decoder, refuses what follows the value.
	err := json.Unmarshal(text, out)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the answer is not valid JSON (byte %d: %w), starting %q", s.Offset, err, starting())
	}
	if err != nil {
		return fmt.Errorf("the answer is not what was expected: %w", err)
	}
	return nil
}
