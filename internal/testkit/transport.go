package testkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
)

// errReset is what a client gets when the handler closes the connection without an answer.
var errReset = errors.New("connection reset by the handler")

// Transport returns an [http.RoundTripper] that calls a handler directly, without a
// socket, so that it works in a testing/synctest bubble. A handler that closes the
// connection results in an error; a body that is shorter than announced ends in
// [io.ErrUnexpectedEOF]. Safe for concurrent use if the handler is.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }() // RoundTrip must close it
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec, err := t.serve(incoming(r))
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err // the client gave up, whatever the handler did
	}
	return response(rec, r), nil
}

// incoming is the request as a server receives it.
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

func (t transport) serve(in *http.Request) (rec *httptest.ResponseRecorder, err error) {
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

// record calls a handler and keeps its answer.
func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// replay sends a recorded answer; with a part above 1 it sends only the first part of
// the body but announces all of it, so that the client sees an unexpected end.
func replay(w http.ResponseWriter, rec *httptest.ResponseRecorder, part int) {
	maps.Copy(w.Header(), rec.Header())
	body := rec.Body.Bytes()
	if len(body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/part]) // the client may have gone
}

// response is the recorded answer as a client receives it.
func response(rec *httptest.ResponseRecorder, r *http.Request) *http.Response {
	res := rec.Result()
	res.Request = r
	length := int64(rec.Body.Len())
	switch {
	case r.Method == http.MethodHead:
		res.Body, res.ContentLength = http.NoBody, 0
	case res.ContentLength > length:
		res.Body = io.NopCloser(io.MultiReader(rec.Body, failingReader{io.ErrUnexpectedEOF}))
	default:
		res.ContentLength = length
	}
	return res
}
