package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// errReset is what a client sees of a connection that ends without an answer.
var errReset = errors.New("connection reset by the handler")

// Transport is an [http.RoundTripper] that calls the handler itself, without a
// socket: usable inside testing/synctest, where real connections are not. An
// aborted answer is an error, one that is shorter than announced ends in
// [io.ErrUnexpectedEOF]. Safe for concurrent use if the handler is.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }() // RoundTrip must close it; nothing depends on the result
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec, err := t.serve(incoming(r))
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err // the client has given up, whatever the server did
	}
	return rec.response(r), nil
}

// incoming is the request as a server sees it.
func incoming(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if in.URL.Path == "" {
		in.URL.Path = "/"
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

func (t transport) serve(in *http.Request) (rec *recorder, err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if cause, ok := v.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
			err = errReset
			return
		}
		err = fmt.Errorf("the handler panicked: %v", v)
	}()
	return record(t.handler, in), nil
}

// response is the answer as a client sees it.
func (rec *recorder) response(r *http.Request) *http.Response {
	length := int64(len(rec.body))
	var content io.Reader = bytes.NewReader(rec.body)
	if announced, err := number.ParseInt(rec.header.Get("Content-Length"), 10, 64); err == nil && announced > length &&
		r.Method != http.MethodHead {
		content = io.MultiReader(content, failed{io.ErrUnexpectedEOF})
		length = announced
	}
	if r.Method == http.MethodHead {
		content, length = http.NoBody, 0
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", rec.status, http.StatusText(rec.status)),
		StatusCode: rec.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        rec.header,
		Body:          io.NopCloser(content),
		ContentLength: length,
		Request:       r,
	}
}
