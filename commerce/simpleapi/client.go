package simpleapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Client calls Simple API on behalf of one reseller. Create it with [New]. It is safe for concurrent
// use.
type Client struct {
	rest     *rest.Client
	pageSize int
	off      map[ServerFilter]bool
	codes    map[string]commerce.Status // by status word
	words    map[commerce.Status]string // the inverse, for statuses with one word
	fields   func(raw json.RawMessage, o *commerce.Order) error
	logger   *slog.Logger
}

// New returns a client. The base URL ends before /orders, such as
// "https://simpleapiprod.azure-api.net/marketplace"; other gateways have others. TLS is
// verified; for a private authority use [WithTLSFiles] or [WithTLSConfig]. Nothing is sent yet.
func New(baseURL string, auth Auth, opts ...Option) (*Client, error) {
	c := config{pageSize: 100, off: map[ServerFilter]bool{}, words: statusWords()}
	c.rest.Refused = apiRefuses
	c.rest.BaseURL, c.rest.Sensitive = baseURL, true
	c.rest.MaxWait = time.Minute
	c.rest.Busy = time.Minute // what a public client waits (commerce/WIRE.md#3)
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("simpleapi: %w", err)
		}
	}
	if auth.make == nil {
		return nil, errors.New("simpleapi: auth is missing: use GatewayToken, KeycloakToken, TokenFunc or Token")
	}
	if _, err := rest.New(c.rest); err != nil { // before auth, which needs the base URL too
		return nil, fmt.Errorf("simpleapi: %w", err)
	}
	var err error
	if c.rest.Auth, err = auth.make(c.rest); err != nil {
		return nil, fmt.Errorf("simpleapi: auth: %w", err)
	}
	client, err := rest.New(c.rest)
	if err != nil {
		return nil, fmt.Errorf("simpleapi: %w", err)
	}
	return &Client{
		rest: client, pageSize: c.pageSize, off: c.off, codes: c.words, words: inverse(c.words), fields: c.fields,
		logger: c.rest.Logger,
	}, nil
}

// Capabilities declares that Simple API lists orders, with ids of its own, and reports neither
// failures nor transitions.
func (*Client) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Lists: true, IDSpace: "simpleapi"}
}

// System returns the name of the system within which the order ids of this client are unique, such as
// "simpleapi https://gateway.example.net/marketplace": the API and the normalized base URL.
// The same host through another client is another system, because its ids differ.
func (c *Client) System() string { return "simpleapi " + c.BaseURL() }

// BaseURL returns the normalized base URL, without credentials and query.
func (c *Client) BaseURL() string { return c.rest.BaseURL("") }

// statusWords is what the words most likely stand for (commerce/WIRE.md#3 and commerce/WIRE.md#8.6:
// which codes a word covers is not known, so all of it is inferred).
func statusWords() map[string]commerce.Status {
	return map[string]commerce.Status{
		"submitted":  commerce.StatusOpen,
		"processing": commerce.StatusProvisioning,
		"error":      commerce.StatusProvisioningFailed,
		"completed":  commerce.StatusCompleted,
		"cancelled":  commerce.StatusCancelled,
	}
}

// inverse maps statuses to words, without those that several words stand for.
func inverse(codes map[string]commerce.Status) map[commerce.Status]string {
	words := make(map[commerce.Status]string, len(codes))
	for word, code := range codes {
		if _, twice := words[code]; twice {
			word = ""
		}
		words[code] = word
	}
	return words
}
