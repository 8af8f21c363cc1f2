package xmlrpc

import (
	"context"
	"errors"
	"net/http"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Client calls the methods of one server. It holds nothing that changes: any
// number of calls may be made at once.
type Client struct {
	HTTP   *rest.Client
	Path   string // relative to the base URL, like "RPC2"; empty for the base URL itself
	Decode DecodeOptions
	Encode EncodeOptions
}

// Call calls a method and decodes its answer into out, as [DecodeResponse] does. op names the call in errors.
//
// A fault is a [*Fault], whatever the HTTP status. What cannot be sent is an [*Error]. All else is a
// [*rest.Error], which wraps an [*Error] when there was an answer that is not good. A
// [rest.Read] is sent again as package rest says, but not once its answer has begun to come.
func (c *Client) Call(ctx context.Context, op string, safety rest.Safety, method string, out any, params ...any) error {
	_, err := c.Exchange(ctx, op, safety, method, out, params...)
	return err
}

// Exchange is Call, and returns the answer, to scrub texts of it by: its body has been
// read. It is nil after an error.
func (c *Client) Exchange(ctx context.Context, op string, safety rest.Safety, method string, out any,
	params ...any) (*rest.Response, error) {
	body, err := EncodeCall(c.Encode, method, params...)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(ctx, rest.Request{
		Op: op, Method: http.MethodPost, Path: c.Path, Safety: safety, Body: body,
		Accept: []int{http.StatusOK}, Final: IsFault,
		Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Accept": {"text/xml"}},
	})
	if e, ok := errors.AsType[*rest.Error](err); ok && e.Answered() {
		if f := FaultIn(e.Header.Get("Content-Type"), e.Body); f != nil {
			return nil, f
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	o := c.Decode
	o.ContentType = resp.Header.Get("Content-Type")
	err = DecodeResponse(resp.Body, o, out)
	if broken, ok := errors.AsType[*rest.Error](err); ok {
		return nil, broken // the connection, not the document
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return nil, &Fault{Code: f.Code, Name: f.Name, Message: string(resp.Scrub([]byte(f.Message)))}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, resp.Failed(e)
	}
	return resp, err
}
