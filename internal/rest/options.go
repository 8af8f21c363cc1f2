package rest

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// The setters below implement the options of the same names that clients export. Each
// validates its value and names the option in its error.

// SetHTTP sets the HTTP client.
func (c *Config) SetHTTP(client *http.Client) error {
	return set(&c.HTTP, client, client != nil, "WithHTTPClient: the client is nil")
}

// SetMiddleware sets what the transports are wrapped in, around what was set before.
func (c *Config) SetMiddleware(m Middleware) error {
	if inner := c.Wrap; inner != nil && m != nil {
		outer := m
		m = func(next http.RoundTripper) http.RoundTripper { return outer(inner(next)) }
	}
	return set(&c.Wrap, m, m != nil, "WithMiddleware: the function is nil")
}

// SetLogger sets the logger.
func (c *Config) SetLogger(logger *slog.Logger) error {
	return set(&c.Logger, logger, logger != nil, "WithLogger: the logger is nil")
}

// SetUserAgent sets the User-Agent header.
func (c *Config) SetUserAgent(name string) error {
	return set(&c.UserAgent, name, name != "", "WithUserAgent: the name is empty")
}

// SetMaxTries sets how often a read is tried.
func (c *Config) SetMaxTries(n int) error {
	c.MaxTries = n
	return InRange("WithMaxTries", n, 1, 20)
}

// SetMaxWait sets the longest wait between two tries.
func (c *Config) SetMaxWait(d time.Duration) error {
	c.MaxWait = d
	return Positive("WithMaxWait", d)
}

// SetTimeout sets how long one try may take.
func (c *Config) SetTimeout(d time.Duration) error {
	c.Timeout = d
	return Positive("WithTimeout", d)
}

// SetMaxBody sets the size of the largest answer in bytes.
func (c *Config) SetMaxBody(n int64) error {
	c.MaxBody = n
	return Positive("WithMaxBody", n)
}

// SetRefusals sets which answers prove that the server did not act.
func (c *Config) SetRefusals(refused Refusals) error {
	return set(&c.Refused, refused, refused != nil, "WithRefusals: the function is nil")
}

// AllowPlainHTTP allows secrets over http:// to other hosts than this one.
func (c *Config) AllowPlainHTTP() error {
	c.PlainHTTP = true
	return nil
}

// AllowInsecureTLS allows TLS that is not verified, or below 1.2.
func (c *Config) AllowInsecureTLS() error {
	c.InsecureTLS = true
	return nil
}

func set[T any](field *T, value T, valid bool, problem string) error {
	if !valid {
		return errors.New(problem)
	}
	*field = value
	return nil
}

// Positive returns an error that names the option if n is not positive.
func Positive[T cmp.Ordered](option string, n T) error {
	var zero T
	if n <= zero {
		return fmt.Errorf("%s: %v is not positive", option, n)
	}
	return nil
}

// InRange returns an error that names the option if n is not between least and most.
func InRange[T cmp.Ordered](option string, n, least, most T) error {
	if n >= least && n <= most { // false for NaN
		return nil
	}
	return fmt.Errorf("%s: %v is not between %v and %v", option, n, least, most)
}
