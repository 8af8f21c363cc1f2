package commercetest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultToken is the APS token that is accepted when Config.Token is empty.
const DefaultToken = "commercetest-token"

// What Simple API takes when the Config says nothing.
const (
	DefaultSimpleKey      = "commercetest-key"
	DefaultSimpleUser     = "reseller"
	DefaultSimplePassword = "commercetest-password"
	DefaultRealm          = "sr-1"
	DefaultClientID       = "simpleapi"
)

// BillingLogin is how callers of Billing sign in. All ways are seen in public programs
// (commerce/WIRE.md#1.2).
type BillingLogin string

// The logins of Billing.
const (
	LoginNone    BillingLogin = ""        // the address of the caller is trusted
	LoginBasic   BillingLogin = "basic"   // HTTP Basic
	LoginMembers BillingLogin = "members" // Username and Password in the struct of Execute
)

const (
	defaultOldEvent     = 240 * time.Second
	defaultProvider     = "1"
	defaultCount        = 1000 // limit(start) without a count, commerce/WIRE.md#2.5
	defaultConnectWait  = 30 * time.Second
	defaultOAuthSkew    = 5 * time.Minute
	defaultSimpleToken  = 1500 * time.Second // expiresInSeconds, commerce/WIRE.md#3
	mostDigits          = 10
	minPoll, pollSpread = 60 * time.Second, 60 * time.Second // aps-retry-timeout, commerce/WIRE.md#6.2
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
	// 60 to 119 s at random, as the code of the connector does (commerce/WIRE.md#6.2).
	Poll time.Duration
	// OldEvent is how long after a failure its old event is still scheduled, so
	// that a push makes a second one, as documented (resubmit/SAFETY.md#f9,
	// resubmit/SAFETY.md#f13). 0 means 240 s; a negative value means that none is left.
	OldEvent time.Duration
	// AsyncHeals lets orders that already wait for Connect sit out an outage, as
	// the extension intends and F13 reports. By default they fail, as its
	// published code does (commerce/WIRE.md#6.2).
	AsyncHeals bool
	// OutageTexts are what Operations reports when Connect did not answer, one of
	// them at random for each failure; {method}, {tenant} and {product} in them are
	// filled in, and "" reports nothing. Nil means the connector's 500 only.
	OutageTexts []string
	// StaleReads is a fault: for so long after an accepted push, reads still show
	// the failed order and another push is accepted, which makes a second event.
	StaleReads time.Duration

	// ProviderAccount is the account of the provider; "" means "1". Its order list
	// holds the orders of resellers too (inferred, commerce/WIRE.md#8.4).
	ProviderAccount string
	// DocumentedFlow offers PR for resubmission, as the vendor's guide says, not
	// PD, as it is in practice (commerce/WIRE.md#5.4). CF orders offer RB in both.
	DocumentedFlow bool
	// RefusedPush is the HTTP status for a push that the order does not offer.
	// The real one is not known (commerce/WIRE.md#8.2); 0 means 409.
	RefusedPush int

	// ListDetails makes lists carry errorDetails and possiblePushToStatus. By
	// default only a single order has them, or a list with select(orderDetails).
	ListDetails bool
	// MaxPage is the most orders of one list answer, whatever limit() asks for;
	// 0 means no such cap.
	MaxPage int
	// ShuffleTies makes lists put orders that were placed at the same time in another
	// order on each request, as a database does that sorts by that time alone. Further
	// sort keys are ignored then.
	ShuffleTies bool

	// BillingLogin is how callers of Billing say who they are, with BillingUser and
	// BillingPassword. With LoginNone these must be empty.
	BillingLogin                 BillingLogin
	BillingUser, BillingPassword string
	// ShortRows makes GetOrder_API answer with the 17 documented columns of old versions. By
	// default there are 19, as in public programs (commerce/WIRE.md#1.4).
	ShortRows bool
	// SwappedPush makes OrderStatusChange_API take [OrderID, Signature, Status]. By
	// default it takes [OrderID, Status, Signature]. Public programs disagree
	// (commerce/WIRE.md#1.5).
	SwappedPush bool
	// RawFaults makes Billing send the texts of its faults as they are, not as base64.
	RawFaults bool
	// Precision is how many digits behind the point a total has in a signature, by
	// currency. One that is not in it has those of ISO 4217, which are 2 for nearly all.
	Precision map[string]int

	// OperationsUser and OperationsPassword are what callers of Operations must send
	// by HTTP Basic. Both empty: the address of the caller is trusted.
	OperationsUser, OperationsPassword string
	// User is the id of the one user for whom Operations gives tokens; 0 means 1.
	User int
	// TokenLifetime is how long the tokens of Operations are good; 0 means for ever.
	// The real lifetime is not known (commerce/WIRE.md#2.2). Token never expires.
	TokenLifetime time.Duration

	// ConsumerKey and ConsumerSecret are the OAuth 1.0a consumer that may call the
	// Order Management. Both empty: there is none.
	ConsumerKey, ConsumerSecret string
	// OAuthSkew is how far the timestamp of a signature may be from Now; 0 means
	// 5 minutes, inferred, and a negative value that it does not matter.
	OAuthSkew time.Duration

	// SimpleKey is the X-Subscription-Key of Simple API; "" means DefaultSimpleKey.
	SimpleKey string
	// SimpleUser and SimplePassword sign in to Simple API, in both ways; "" means
	// DefaultSimpleUser and DefaultSimplePassword.
	SimpleUser, SimplePassword string
	// Realm, ClientID and ClientSecret are those of the Keycloak login; "" means
	// DefaultRealm, DefaultClientID, and a client without a secret.
	Realm, ClientID, ClientSecret string
	// SimpleTokenLifetime is how long the tokens of Simple API are good; 0 means
	// 25 minutes, as documented (commerce/WIRE.md#3).
	SimpleTokenLifetime time.Duration
	// SimpleReseller is the account whose orders Simple API shows; "" means that it
	// shows all. That callers see only their own is inferred (commerce/WIRE.md#3).
	SimpleReseller string

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
	return c.withDefaultLogins()
}

func (c Config) withDefaultLogins() (Config, error) {
	if err := c.checkLogins(); err != nil {
		return c, err
	}
	if c.User < 0 || c.TokenLifetime < 0 || c.SimpleTokenLifetime < 0 {
		return c, fmt.Errorf("commercetest: User %d, TokenLifetime %v and SimpleTokenLifetime %v must not be negative", c.User, c.TokenLifetime, c.SimpleTokenLifetime)
	}
	for currency, digits := range c.Precision {
		if digits < 0 || digits > mostDigits {
			return c, fmt.Errorf("commercetest: the Precision of %q is %d: it must be 0 to %d", currency, digits, mostDigits)
		}
	}
	c.Precision = maps.Clone(c.Precision)
	c.OutageTexts = slices.Clone(c.OutageTexts)
	c.User = cmp.Or(c.User, 1)
	c.OAuthSkew = cmp.Or(c.OAuthSkew, defaultOAuthSkew)
	c.SimpleKey = cmp.Or(c.SimpleKey, DefaultSimpleKey)
	c.SimpleUser = cmp.Or(c.SimpleUser, DefaultSimpleUser)
	c.SimplePassword = cmp.Or(c.SimplePassword, DefaultSimplePassword)
	c.Realm = cmp.Or(c.Realm, DefaultRealm)
	c.ClientID = cmp.Or(c.ClientID, DefaultClientID)
	c.SimpleTokenLifetime = cmp.Or(c.SimpleTokenLifetime, defaultSimpleToken)
	return c, nil
}

func (c Config) checkLogins() error {
	for _, pair := range []struct{ names, a, b string }{
		{"BillingUser and BillingPassword", c.BillingUser, c.BillingPassword},
		{"OperationsUser and OperationsPassword", c.OperationsUser, c.OperationsPassword},
		{"ConsumerKey and ConsumerSecret", c.ConsumerKey, c.ConsumerSecret},
	} {
		if (pair.a == "") != (pair.b == "") {
			return fmt.Errorf("commercetest: %s go together: give both or none", pair.names)
		}
	}
	switch c.BillingLogin {
	case LoginNone, LoginBasic, LoginMembers:
	default:
		return fmt.Errorf("commercetest: BillingLogin is %q: it must be %q, %q or %q", c.BillingLogin, LoginNone, LoginBasic, LoginMembers)
	}
	if (c.BillingLogin == LoginNone) != (c.BillingUser == "") {
		return fmt.Errorf("commercetest: LoginBasic and LoginMembers need a BillingUser, LoginNone takes none: BillingLogin is %q", c.BillingLogin)
	}
	return nil
}

func oldEventOf(d time.Duration) time.Duration { return max(cmp.Or(d, defaultOldEvent), 0) }
