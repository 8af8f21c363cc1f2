package ordermanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Client calls the Order Management of one installation. Create it with [New]. It is safe for
// concurrent use.
type Client struct {
	rest     *rest.Client
	advice   advice
	pageSize int
	provider string
	off      map[ServerFilter]bool
	fields   func(raw json.RawMessage, o *commerce.Order) error
	logger   *slog.Logger
	// sortsByTime means that lists are sorted by orderDate alone, because of an option or
	// because the server rejected internalId as a second key.
	sortsByTime *atomic.Bool
}

// New returns a client. The base URL ends before /aps/2 and may have a path:
// "https://mn.example.net:6308" for the APS controller, "https://brand.example.net"
// through the booster, both of which are documented (commerce/WIRE.md#2.2). TLS is verified; for a
// private authority see [WithTLSFiles] and [WithTLSConfig].
func New(baseURL string, auth Auth, opts ...Option) (*Client, error) {
	c := config{pageSize: 100, provider: "1", off: map[ServerFilter]bool{}}
	c.rest.Refused = apsRefuses
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("ordermanager: %w", err)
		}
	}
	switch {
	case auth.err != nil:
		return nil, fmt.Errorf("ordermanager: %w", auth.err)
	case auth.rest == nil:
		return nil, errors.New("ordermanager: auth is missing: use Token, TokenFunc or OAuth1")
	case c.forToken != "":
		return nil, fmt.Errorf("ordermanager: %s is for UserToken, not for New", c.forToken)
	case strings.HasSuffix(strings.TrimRight(baseURL, "/"), "/aps/2"):
		return nil, errors.New("ordermanager: the base URL must end before /aps/2")
	}
	c.rest.BaseURL, c.rest.Auth = baseURL, auth.rest
	if c.literalPlus {
		var err error
		if c.rest.Auth, err = auth.literalPlus(); err != nil {
			return nil, fmt.Errorf("ordermanager: %w", err)
		}
	}
	client, err := rest.New(c.rest)
	if err != nil {
		return nil, fmt.Errorf("ordermanager: %w", err)
	}
	made := &Client{
		rest: client, advice: auth.advice, pageSize: c.pageSize, provider: c.provider, off: c.off,
		fields: c.fields, logger: c.rest.Logger, sortsByTime: new(atomic.Bool),
	}
	made.sortsByTime.Store(c.sortsByTime)
	return made, nil
}

// Capabilities declares that Order Management reports failures, transitions and lists, and knows
// orders by their APS ids (inferred, commerce/WIRE.md#2.4).
func (*Client) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, Lists: true, IDSpace: "aps"}
}

// System returns the name of the system within which the order ids of this client are unique, such as
// "ordermanager https://mn.example.net:6308": the API and the normalized base URL. The same
// host through another client is another system, because its ids differ.
func (c *Client) System() string { return "ordermanager " + c.BaseURL() }

// BaseURL returns the normalized base URL, without credentials and query.
func (c *Client) BaseURL() string { return c.rest.BaseURL("") }
