package billing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const defaultPath = "RPC2"

// Client calls the Billing of one installation. Create it with [New]. It is safe for
// concurrent use.
type Client struct {
	rest  *rest.Client
	slots chan struct{} // one for each call in flight
	creds Auth

	path     string
	lang     string
	maxBody  int64
	provider string
	currency string
	placedAt DateColumn
	rule     SignatureRule
	swapped  bool
	faults   commerce.Delivery
	resolve  func(ctx context.Context, number string) (id string, err error)
}

// New returns a client. The base URL is that of the Billing application server, with or
// without /RPC2: "https://billing.example.net:5224". Without a port, the default port of the
// scheme is used, not 5224. TLS is verified; for a private authority use [WithTLSFiles] or
// [WithTLSConfig]. Nothing is sent yet.
func New(baseURL string, creds Auth, opts ...Option) (*Client, error) {
	c := config{
		concurrency: 2,
		client:      Client{provider: "1", placedAt: OrderDateColumn, faults: commerce.DeliveryRefused, creds: creds},
	}
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("billing: %w", err)
		}
	}
	switch {
	case creds.err != nil:
		return nil, fmt.Errorf("billing: the credentials cannot be used: %w", creds.err)
	case !creds.given:
		return nil, errors.New("billing: the credentials are missing: use NoLogin, Basic or LoginInCall")
	}
	if err := c.address(baseURL); err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	c.rest.Auth, c.rest.Sensitive = creds.http, creds.members != nil
	made, err := rest.New(c.rest)
	if err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	client := c.client
	client.maxBody = c.rest.MaxBody
	client.rest, client.slots = made, make(chan struct{}, c.concurrency)
	return &client, nil
}

// Capabilities declares that Billing reports neither failures nor transitions, that it has ids of
// its own, and how many calls, reads and pushes together, the client makes at once; see
// [WithConcurrency].
func (c *Client) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{MaxConcurrency: cap(c.slots), IDSpace: "billing"}
}

// System returns the name of the system within which the order ids of this client are unique, such as
// "billing https://billing.example.net:5224": the API and the normalized base URL, without
// /RPC2. The same host through another client is another system, because its ids differ.
func (c *Client) System() string { return "billing " + c.BaseURL() }

// BaseURL returns the normalized base URL, without /RPC2, credentials and query.
func (c *Client) BaseURL() string {
	if c.path == defaultPath {
		return c.rest.BaseURL("")
	}
	return c.rest.BaseURL(c.path)
}

// address splits the URL into the base and the path of the API.
func (c *config) address(baseURL string) error {
	if u, err := url.Parse(baseURL); err == nil && u.User != nil {
		return errors.New("the base URL must not carry credentials: give them as Basic(user, password)")
	}
	base, has := strings.CutSuffix(strings.TrimRight(baseURL, "/"), "/"+defaultPath)
	if has && c.path != nil && *c.path != defaultPath {
		return fmt.Errorf("the base URL ends in /%s, but the path is set to %q: leave out one of "+
			"them", defaultPath, "/"+*c.path)
	}
	c.rest.BaseURL, c.client.path = base, defaultPath
	if c.path != nil {
		c.client.path = *c.path
	}
	return nil
}

// acquire waits until fewer calls than the limit are in flight.
func (c *Client) acquire(ctx context.Context) error {
	began := time.Now()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w while waiting for one of %d calls to end (for %s)", ctx.Err(), cap(c.slots),
			time.Since(began).Round(time.Millisecond))
	}
}

func (c *Client) release() { <-c.slots }
