package commercetest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultToken is the APS token that is accepted when Config.Token is empty.
const DefaultToken = "commercetest-token"

const (
	defaultOldEvent     = 240 * time.Second
	defaultProvider     = "1"
	defaultCount        = 1000 // limit(start) without a count, facts/commerce.md 2.5
	defaultConnectWait  = 30 * time.Second
	minPoll, pollSpread = 60 * time.Second, 60 * time.Second // aps-retry-timeout, facts/commerce.md 6.2
)

// Config makes a System. The zero value works: a Commerce whose Connect never answers.
type Config struct {
	// Token is the APS token that callers must send; "" means DefaultToken.
	Token string

	// ConnectURL is the base of Connect's public API ("https://host/public/v1").
	// "" means that nothing answers: what needs Connect fails as in an outage.
	ConnectURL string
	// ConnectKey is sent to Connect as "Authorization: ApiKey …"; the prefix may
	// be part of it. "" sends no credentials.
	ConnectKey string
	// ConnectHTTP makes the calls to Connect; nil means a client with a timeout of 30 s.
	ConnectHTTP *http.Client

	// Now is the clock of the system; nil means time.Now.
	Now func() time.Time
	// Seed makes the ids and the random waits; equal seeds and calls give equal systems.
	Seed uint64

	// Poll is how long provisioning waits before it asks Connect again; 0 means
	// 60 to 119 s at random, as the Connect extension does (facts/commerce.md 6.2).
	Poll time.Duration
	// OldEvent is how long after a failure its old event is still scheduled, so
	// that a push makes a second one (facts/resubmission.md F9, F13). 0 means
	// 240 s; a negative value means that none is left.
	OldEvent time.Duration
	// AsyncHeals lets orders that already wait for Connect sit out an outage, as
	// the extension intends and F13 reports. By default they fail, as its
	// published code does (facts/commerce.md 6.2).
	AsyncHeals bool
	// StaleReads is a fault: for so long after an accepted push, reads still show
	// the failed order and another push is accepted, which makes a second event.
	StaleReads time.Duration

	// ProviderAccount is the account of the provider; "" means "1". Its order list
	// holds the orders of resellers too (inferred, facts/commerce.md 8).
	ProviderAccount string
	// DocumentedFlow offers PR for resubmission, as the vendor's guide says, not
	// PD, as it is in practice (facts/commerce.md 5.4). CF orders offer RB in both.
	DocumentedFlow bool
	// RefusedPush is the HTTP status for a push that the order does not offer.
	// The real one is not known (facts/commerce.md 8); 0 means 409.
	RefusedPush int

	// ListDetails makes lists carry errorDetails and possiblePushToStatus. By
	// default only a single order has them, or a list with select(orderDetails).
	ListDetails bool
	// MaxPage is the most orders of one list answer, whatever limit() asks for;
	// 0 means no such cap.
	MaxPage int

	// InMaintenance tells whether a maintenance window is open now; a push in one
	// is a violation. nil means never. It must not call the System.
	InMaintenance func() bool
}

func (c Config) withDefaults() (Config, error) {
	if c.ConnectURL != "" {
		u, err := url.Parse(c.ConnectURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return c, fmt.Errorf("commercetest: ConnectURL %q is no http(s) URL with a host; give the base of the API, as in https://host/public/v1", c.ConnectURL)
		}
	}
	if c.Poll < 0 || c.StaleReads < 0 || c.MaxPage < 0 {
		return c, fmt.Errorf("commercetest: Poll %v, StaleReads %v and MaxPage %d must not be negative", c.Poll, c.StaleReads, c.MaxPage)
	}
	c.RefusedPush = cmp.Or(c.RefusedPush, http.StatusConflict)
	if c.RefusedPush < 400 || c.RefusedPush > 499 {
		return c, fmt.Errorf("commercetest: RefusedPush %d is not a status between 400 and 499", c.RefusedPush)
	}
	c.Token = cmp.Or(c.Token, DefaultToken)
	c.ProviderAccount = cmp.Or(c.ProviderAccount, defaultProvider)
	c.OldEvent = oldEventOf(c.OldEvent)
	c.ConnectURL = strings.TrimRight(c.ConnectURL, "/")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ConnectHTTP == nil {
		c.ConnectHTTP = &http.Client{Timeout: defaultConnectWait}
	}
	return c, nil
}

func oldEventOf(d time.Duration) time.Duration { return max(cmp.Or(d, defaultOldEvent), 0) }
