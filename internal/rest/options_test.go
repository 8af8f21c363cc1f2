package rest_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

func TestSettersNameTheOptionOfABadValue(t *testing.T) {
	t.Parallel()
	for problem, set := range map[string]func(*rest.Config) error{
		"WithHTTPClient: the client is nil":        func(c *rest.Config) error { return c.SetHTTP(nil) },
		"WithMiddleware: the function is nil":      func(c *rest.Config) error { return c.SetMiddleware(nil) },
		"WithLogger: the logger is nil":            func(c *rest.Config) error { return c.SetLogger(nil) },
		"WithUserAgent: the name is empty":         func(c *rest.Config) error { return c.SetUserAgent("") },
		"WithMaxTries: 0 is not between 1 and 20":  func(c *rest.Config) error { return c.SetMaxTries(0) },
		"WithMaxTries: 21 is not between 1 and 20": func(c *rest.Config) error { return c.SetMaxTries(21) },
		"WithMaxWait: 0s is not positive":          func(c *rest.Config) error { return c.SetMaxWait(0) },
		"WithTimeout: -1ns is not positive":        func(c *rest.Config) error { return c.SetTimeout(-1) },
		"WithMaxBody: 0 is not positive":           func(c *rest.Config) error { return c.SetMaxBody(0) },
		"WithRefusals: the function is nil":        func(c *rest.Config) error { return c.SetRefusals(nil) },
		"WithRate: NaN is not between 0 and 1": func(*rest.Config) error {
			return rest.InRange("WithRate", math.NaN(), 0, 1)
		},
	} {
		require.EqualError(t, set(&rest.Config{}), problem)
	}
}

func TestSettersSetTheirField(t *testing.T) {
	t.Parallel()
	var c rest.Config
	client := &http.Client{}
	require.NoError(t, c.SetHTTP(client))
	require.NoError(t, c.SetUserAgent("billing/2"))
	require.NoError(t, c.SetMaxTries(20))
	require.NoError(t, c.SetMaxWait(time.Second))
	require.NoError(t, c.SetTimeout(time.Minute))
	require.NoError(t, c.SetMaxBody(1))
	require.NoError(t, c.AllowPlainHTTP())
	require.NoError(t, c.AllowInsecureTLS())
	require.Equal(t, rest.Config{
		HTTP: client, UserAgent: "billing/2", MaxTries: 20, MaxWait: time.Second, Timeout: time.Minute, MaxBody: 1,
		PlainHTTP: true, InsecureTLS: true,
	}, c)
}
