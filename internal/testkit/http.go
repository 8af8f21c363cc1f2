package testkit

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// RoundTripFunc is a function as an [http.RoundTripper].
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f RoundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Reply is an HTTP response whose body was read.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Send makes a request with single-valued headers and reads the whole response. If the
// body ends early, it returns what was read together with the error.
func Send(ctx context.Context, c *http.Client, method, url, body string, header map[string]string) (Reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	data, err := io.ReadAll(res.Body)
	return Reply{Status: res.StatusCode, Header: res.Header, Body: string(data)}, err
}
