// Package openapitest checks requests and answers against OpenAPI documents, in tests. Queries in
// RQL, which OpenAPI cannot describe, are checked against x-term of an operation: a regular
// expression for each term, in which white space has no meaning.
package openapitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
)

// Transport fails the test for each request and each answer that does not fit the document in a
// file. Calls counts them by operation.
type Transport struct {
	t      testing.TB
	next   http.RoundTripper
	router routers.Router
	Calls  map[string]int
}

// New returns a Transport that sends by next. It is not safe for concurrent use.
func New(t testing.TB, file string, next http.RoundTripper) *Transport {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &Transport{t: t, next: next, router: router, Calls: map[string]int{}}
}

// RoundTrip sends a request and checks both sides.
func (c *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	what := r.Method + " " + r.URL.String()
	route, params, err := c.router.FindRoute(r)
	require.NoError(c.t, err, what)
	c.Calls[route.Method+" "+route.Path]++
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: hasHeader, IncludeResponseStatus: true, MultiError: true,
		},
	}
	require.NoError(c.t, openapi3filter.ValidateRequest(r.Context(), in), what)
	if term, ok := route.Operation.Extensions["x-term"].(string); ok {
		require.Regexp(c.t, query(term), r.URL.RawQuery, what)
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	require.NoError(c.t, openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	}), "%s: %d %s", what, resp.StatusCode, body)
	return resp, nil
}

// hasHeader checks that a request has the header of a security scheme.
func hasHeader(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if in.RequestValidationInput.Request.Header.Get(in.SecurityScheme.Name) == "" {
		return in.NewError(errors.New("the header is missing"))
	}
	return nil
}

// query returns the regular expression of a query, from that of a term.
func query(term string) string {
	term = "(?:" + strings.Join(strings.Fields(term), "") + ")"
	return "^(?:" + term + "(?:[,&]" + term + ")*)?$"
}
