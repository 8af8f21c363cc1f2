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

// DefaultToken is the APS token that the System accepts unless Config.Token is set.
const DefaultToken = "commercetest-token"

// Credentials of Simple API that the System accepts unless the Config sets others.
const (
	DefaultSimpleKey      = "commercetest-key"
	DefaultSimpleUser     = "reseller"
	DefaultSimplePassword = "commercetest-password"
	DefaultRealm          = "sr-1"
	DefaultClientID       = "simpleapi"
)

// BillingLogin is how callers of Billing authenticate. All methods are seen in public
// programs (commerce/WIRE.md#1.2).
type BillingLogin string

// The logins of Billing.
const (
	LoginNone   BillingLogin = ""        // the address of the caller is trusted
	LoginBasic  BillingLogin = "basic"   // HTTP Basic
	LoginInCall BillingLogin = "members" // Username and Password in the struct of Execute
)

const (
	defaultStaleEvent   = 240 * time.Second
	defaultProvider     = "1"
	defaultCount        = 1000 // limit(start) without a count, commerce/WIRE.md#2.5
	defaultConnectWait  = 30 * time.Second
	defaultOAuthSkew    = 5 * time.Minute
	defaultSimpleToken  = 1500 * time.Second // expiresInSeconds, commerce/WIRE.md#3
	mostDigits          = 10
	minPoll, pollSpread = 60 * time.Second, 60 * time.Second // aps-retry-timeout, commerce/WIRE.md#6.2
)

// Config configures a System. Its zero value is valid: a Commerce whose Connect never answers.
type Config struct {
	// Token is the APS token that callers must send; "" means [DefaultToken].
	Token string

	// ConnectURL is the base URL of Connect's public API ("https://host/public/v1").
	// "" means that Connect never answers: orders that need it fail as in an outage.
	ConnectURL string
	// ConnectKey is sent to Connect as "Authorization: ApiKey …", with or without the
	// prefix. "" sends no credentials.
	ConnectKey string
	// ConnectHTTP is the client for calls to Connect; nil means one with a timeout of 30 s.
	ConnectHTTP *http.Client

	// Now is the clock of the System; nil means time.Now.
	Now func() time.Time
	// Seed determines ids and random delays: equal seeds and calls result in equal Systems.
	Seed uint64

	// PollInterval is how long provisioning waits before it polls Connect again; 0 means 60 to
	// 119 s at random, as in the code of the connector (commerce/WIRE.md#6.2).
	PollInterval time.Duration
	// StaleEventFor is how long after a failure the provisioning event of the failed attempt stays
	// scheduled: a push in that time creates a second event, as documented
	// (resubmit/SAFETY.md#f9, resubmit/SAFETY.md#f13). 0 means 240 s; a negative value
	// means no time at all.
	StaleEventFor time.Duration
	// WaitingOrdersSurvive makes orders that are waiting for Connect survive an outage, as
	// the extension intends and documents report (resubmit/SAFETY.md#f13). By default they fail, as its
	// published code does (commerce/WIRE.md#6.2).
	WaitingOrdersSurvive bool
	// OutageTexts are the failure texts of orders that Connect did not answer; one is
	// chosen for each failure. {method}, {tenant} and {product} in them are replaced, and
	// "" is a failure without text. Nil means the connector's 500 only.
	OutageTexts []string
	// StaleReadsFor is how long after an accepted push reads still return the failed order,
	// and another push is accepted; 0 means not at all.
	StaleReadsFor time.Duration

	// ProviderAccount is the account of the provider; "" means "1". Its list of orders
	// contains those of resellers (inferred, commerce/WIRE.md#8.4).
	ProviderAccount string
	// OfferProvisioning makes failed orders offer the transition to StatusProvisioning (PR), as the
	// vendor's guide says (documented), instead of StatusPaid (PD), as observed
	// (commerce/WIRE.md#5.4). CF orders offer RB in both cases.
	OfferProvisioning bool
	// RefusedPushStatus is the HTTP status of a push that the order does not offer, 400 to 499.
	// The real one is unknown (commerce/WIRE.md#8.2); 0 means 409.
	RefusedPushStatus int

	// ListDetails adds errorDetails and possiblePushToStatus to lists. By default only a
	// single order has them, or a list with select(orderDetails).
	ListDetails bool
	// MaxPageSize limits the orders of one list answer, whatever limit() says; 0 means no limit.
	MaxPageSize int
	// ShuffleTies returns orders that were placed at the same time in another order on
	// each request, as a database does that sorts by that time alone. Further sort keys
	// are ignored then.
	ShuffleTies bool

	// BillingLogin is how callers of Billing authenticate, with BillingUser and
	// BillingPassword, which must be empty with [LoginNone].
	BillingLogin                 BillingLogin
	BillingUser, BillingPassword string
	// ShortRows makes GetOrder_API answer with the 17 documented columns of old
	// versions. By default there are 19, as in public programs (commerce/WIRE.md#1.4).
	ShortRows bool
	// SignatureBeforeStatus makes OrderStatusChange_API take [OrderID, Signature, Status]. By
	// default it takes [OrderID, Status, Signature]. Public programs disagree
	// (commerce/WIRE.md#1.5).
	SignatureBeforeStatus bool
	// PlainFaultTexts makes Billing send the texts of XML-RPC faults as plain text, not as base64.
	PlainFaultTexts bool
	// Precision is the number of decimal places of a total in a signature, by currency,
	// 0 to 10. Other currencies have those of ISO 4217, nearly always 2.
	Precision map[string]int

	// OperationsUser and OperationsPassword are required from callers of Operations, by
	// HTTP Basic. If both are empty, the address of the caller is trusted.
	OperationsUser, OperationsPassword string
	// TokenUserID is the id of the only user for whom Operations issues tokens; 0 means 1.
	TokenUserID int
	// TokenLifetime is how long tokens of Operations are valid; 0 means forever. The real
	// lifetime is unknown (commerce/WIRE.md#2.2). Config.Token never expires.
	TokenLifetime time.Duration

	// ConsumerKey and ConsumerSecret are the OAuth 1.0a consumer that may call the
	// Order Management. If both are empty, there is none.
	ConsumerKey, ConsumerSecret string
	// OAuthSkew is the largest difference between the timestamp of a signature and Now; 0
	// means 5 minutes (inferred), and a negative value means no limit.
	OAuthSkew time.Duration

	// SimpleKey is the X-Subscription-Key of Simple API; "" means [DefaultSimpleKey].
	SimpleKey string
	// SimpleUser and SimplePassword are the login to Simple API and to its Keycloak; ""
	// means [DefaultSimpleUser] and [DefaultSimplePassword].
	SimpleUser, SimplePassword string
	// Realm, ClientID and ClientSecret are those of the Keycloak login; "" means
	// [DefaultRealm], [DefaultClientID], and a client without a secret.
	Realm, ClientID, ClientSecret string
	// SimpleTokenLifetime is how long tokens of Simple API are valid; 0 means
	// 25 minutes, as documented (commerce/WIRE.md#3).
	SimpleTokenLifetime time.Duration
	// SimpleReseller is the account whose orders Simple API returns; "" means all
	// orders. That callers see only their own is inferred (commerce/WIRE.md#3).
	SimpleReseller string

	// InMaintenance reports whether a maintenance window is open now; a push in one
	// violates [RuleMaintenance]. Nil means never. It must not call the System.
	InMaintenance func() bool
}

func (c Config) withDefaults() (Config, error) {
	if c.ConnectURL != "" {
		u, err := url.Parse(c.ConnectURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return c, fmt.Errorf("commercetest: ConnectURL %q is not an http(s) URL with a host; "+
				"want the base of the API, as in https://host/public/v1", c.ConnectURL)
		}
	}
	if c.PollInterval < 0 || c.StaleReadsFor < 0 || c.MaxPageSize < 0 {
		return c, fmt.Errorf("commercetest: PollInterval %v, StaleReadsFor %v and MaxPageSize %d must not be negative",
			c.PollInterval, c.StaleReadsFor, c.MaxPageSize)
	}
	c.RefusedPushStatus = cmp.Or(c.RefusedPushStatus, http.StatusConflict)
	if c.RefusedPushStatus < 400 || c.RefusedPushStatus > 499 {
		return c, fmt.Errorf("commercetest: RefusedPushStatus %d is not a status between 400 and 499", c.RefusedPushStatus)
	}
	c.Token = cmp.Or(c.Token, DefaultToken)
	c.ProviderAccount = cmp.Or(c.ProviderAccount, defaultProvider)
	c.StaleEventFor = staleEventOf(c.StaleEventFor)
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
	if c.TokenUserID < 0 || c.TokenLifetime < 0 || c.SimpleTokenLifetime < 0 {
		return c, fmt.Errorf("commercetest: TokenUserID %d, TokenLifetime %v and SimpleTokenLifetime %v must not be negative",
			c.TokenUserID, c.TokenLifetime, c.SimpleTokenLifetime)
	}
	for currency, digits := range c.Precision {
		if digits < 0 || digits > mostDigits {
			return c, fmt.Errorf("commercetest: Precision of %q is %d: want 0 to %d", currency, digits, mostDigits)
		}
	}
	c.Precision = maps.Clone(c.Precision)
	c.OutageTexts = slices.Clone(c.OutageTexts)
	c.TokenUserID = cmp.Or(c.TokenUserID, 1)
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
			return fmt.Errorf("commercetest: set both %s, or neither", pair.names)
		}
	}
	switch c.BillingLogin {
	case LoginNone, LoginBasic, LoginInCall:
	default:
		return fmt.Errorf("commercetest: BillingLogin is %q: want %q, %q or %q",
			c.BillingLogin, LoginNone, LoginBasic, LoginInCall)
	}
	if (c.BillingLogin == LoginNone) != (c.BillingUser == "") {
		return fmt.Errorf("commercetest: BillingLogin is %q: LoginBasic and LoginInCall need a BillingUser, "+
			"LoginNone takes none", c.BillingLogin)
	}
	return nil
}

func staleEventOf(d time.Duration) time.Duration { return max(cmp.Or(d, defaultStaleEvent), 0) }
