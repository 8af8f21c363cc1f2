package billing

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// Call is a call of a method of Billing.
type Call struct {
	// Server is the part of Billing that has the method; "" means "BM". Others that were seen are PEMGATE,
	// DOMAINGATE, KAGATE, BLOBDOC and TASKMAN, in public programs (commerce/WIRE.md#1.3).
	Server string
	// Method is the name of the method, such as "AccountDetailsGet_API".
	Method string
	// Params are the parameters by position: integers, NullInt, strings, floats,
	// decimal.Decimal, []byte for base64, slices, and structs or maps for structs. Billing has no
	// integers of more than 32 bits; they are refused.
	Params []any
	// ReadOnly says that the call changes nothing, so that it may be retried.
	ReadOnly bool
	// Secrets are parameters to remove from errors, in case the server repeats them.
	Secrets []string
}

// Format implements fmt.Formatter: it prints no parameters, which may be secrets.
func (c Call) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "Call(%s.%s)", cmp.Or(c.Server, defaultServer), c.Method)
}

// envelope is the one parameter of the method Execute (commerce/WIRE.md#1.3).
type envelope struct {
	Server   string
	Method   string
	Lang     string `xmlrpc:"Lang,omitempty"`
	Username string `xmlrpc:"Username,omitempty"`
	Password string `xmlrpc:"Password,omitempty"`
	Params   []any
}

// Execute calls a method and stores the first element of its Result in the value that out
// points to. A struct takes the elements of a row by position, an any takes every value, and a
// nil out ignores the result. The value is changed only if the whole answer is valid.
//
// A fault is an error that errors.AsType[*commerce.Fault] finds, and that matches
// commerce.ErrNotFound when Billing says that a table has no such row.
func (c *Client) Execute(ctx context.Context, call Call, out any) error {
	op := "execute " + cmp.Or(call.Server, defaultServer) + "." + call.Method
	if call.Method == "" {
		return notSent("execute", errors.New("the method is missing"))
	}
	return c.execute(ctx, op, call, out)
}

const defaultServer = "BM"

func (c *Client) execute(ctx context.Context, op string, call Call, out any) error {
	secrets := call.Secrets
	if c.creds.secrets != nil {
		secrets = slices.Concat(c.creds.secrets(), secrets)
	}
	var user, password string
	if c.creds.members != nil {
		user, password = c.creds.members()
	}
	body, err := xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "Execute", envelope{
		Server: cmp.Or(call.Server, defaultServer), Method: call.Method, Lang: c.lang,
		Username: user, Password: password, Params: call.Params,
	})
	if err != nil {
		return notSent(op, err)
	}
	if err := c.acquire(ctx); err != nil {
		return notSent(op, err)
	}
	defer c.release()
	req := rest.Request{
		Op: op, Method: http.MethodPost, Path: c.path, Body: body, Secrets: secrets,
		Accept: []int{http.StatusOK}, Final: xmlrpc.IsFault,
		Fresh:  op == opRead, // a push reads its order first
		Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Accept": {"text/xml"}},
	}
	if call.ReadOnly {
		req.Safety = rest.Read
	}
	resp, err := c.rest.Do(ctx, req)
	if err != nil {
		return c.failed(ctx, op, err, secrets)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.decode(resp, out, secrets); err != nil {
		return c.failed(ctx, op, err, secrets)
	}
	return nil
}

// decode reads a good answer. Its errors are a *xmlrpc.Fault or a *rest.Error.
func (c *Client) decode(resp *rest.Response, out any, secrets []string) error {
	body := bufio.NewReader(resp.Body)
	page := isPage(body)
	in, commit := xmlrpc.Staged(out)
	var read any // nothing, as a method may answer without a value
	if out != nil {
		read = func(v *xmlrpc.Value) error { return first(v, in) }
	}
	o := xmlrpc.DecodeOptions{MaxBytes: c.maxBody, ContentType: resp.Header.Get("Content-Type")}
	err := xmlrpc.DecodeResponse(body, o, read)
	broken, isRest := errors.AsType[*rest.Error](err)
	fault, isFault := errors.AsType[*xmlrpc.Fault](err)
	switch {
	case err == nil:
		commit()
		return nil
	case isRest:
		return broken // the connection, not the document
	case isFault:
		return fault
	case page:
		return resp.Failed(errPage)
	default:
		if clean := scrub(err.Error(), secrets); clean != err.Error() {
			err = errors.New(clean)
		}
		return resp.Failed(err)
	}
}

var errPage = errors.New("the answer is a page, not XML-RPC: is the base URL right, or is a maintenance " +
	"page being served?")

// isPage reports whether r starts with HTML.
func isPage(r *bufio.Reader) bool {
	const enough = 64
	start, err := r.Peek(enough)
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	start = bytes.ToLower(bytes.TrimLeft(start, " \t\r\n\ufeff"))
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// first reads Result[0] into out and skips all else.
func first(v *xmlrpc.Value, out any) error {
	found := false
	err := v.Members(func(name string, v *xmlrpc.Value) error {
		if name != "Result" {
			return nil
		}
		return v.Each(func(i int, v *xmlrpc.Value) error {
			if i > 0 {
				return nil
			}
			found = true
			return v.Decode(out)
		})
	})
	if err == nil && !found {
		err = errors.New("the answer has no Result[0]")
	}
	return err
}
