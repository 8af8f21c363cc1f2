package secrets_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// The secrets. Each differs from its base64, percent-encoded, XML and JSON form.
const (
	apsToken       = `aps/token+1="a&b<c>"`
	consumerKey    = `consumer/key+1="a&b"`
	consumerSecret = `consumer/secret+1="a&b"`
	password       = `pass/word+1="a&b<c>"`
	simpleKey      = `subscription/key+1="a&b"`
	clientSecret   = `client/secret+1="a&b"`
	connectKey     = `SU-111-222-333:key/of+connect=42`
	user           = "operator"
)

// shop is a way into Commerce.
type shop interface {
	resubmit.Client
	resubmit.OrderLister
}

type billingShop struct {
	*billing.Client
	*billing.Lister
}

// login is one way to sign in.
type login struct {
	config commercetest.Config
	open   func(h *http.Client, l *slog.Logger, ids []string) (shop, error)
	// numeric says that orders are known by their ids in Billing.
	numeric bool
	// strange says that the system does not know the login, and refuses it.
	strange bool
}

const base = "https://commerce.test"

func logins() map[string]login {
	urls := commercetest.URLsAt(base)
	viaOrderManager := func(auth func(h *http.Client, l *slog.Logger) (ordermanager.Auth, error)) func(*http.Client,
		*slog.Logger, []string) (shop, error) {
		return func(h *http.Client, l *slog.Logger, _ []string) (shop, error) {
			a, err := auth(h, l)
			if err != nil {
				return nil, err
			}
			return ordermanager.New(urls.OrderManager, a, ordermanager.WithHTTPClient(h), ordermanager.WithLogger(l),
				ordermanager.WithMaxTries(2), ordermanager.WithMaxWait(time.Millisecond))
		}
	}
	viaBilling := func(c billing.Auth) func(*http.Client, *slog.Logger, []string) (shop, error) {
		return func(h *http.Client, l *slog.Logger, ids []string) (shop, error) {
			client, err := billing.New(urls.Billing, c, billing.WithHTTPClient(h), billing.WithLogger(l),
				billing.WithMaxTries(2), billing.WithMaxWait(time.Millisecond))
			if err != nil {
				return nil, err
			}
			return billingShop{client, client.FromIDs(ids...)}, nil
		}
	}
	viaSimpleAPI := func(auth simpleapi.Auth) func(*http.Client, *slog.Logger, []string) (shop, error) {
		return func(h *http.Client, l *slog.Logger, _ []string) (shop, error) {
			return simpleapi.New(urls.SimpleAPI, auth, simpleapi.WithHTTPClient(h), simpleapi.WithLogger(l),
				simpleapi.WithMaxTries(2), simpleapi.WithMaxWait(time.Millisecond))
		}
	}
	simple := commercetest.Config{SimpleKey: simpleKey, SimpleUser: user, SimplePassword: password,
		ClientSecret: clientSecret}
	return map[string]login{
		"an APS token": {config: commercetest.Config{Token: apsToken}, open: viaOrderManager(
			func(*http.Client, *slog.Logger) (ordermanager.Auth, error) { return ordermanager.Token(apsToken), nil })},
		"a token of Operations": {
			config: commercetest.Config{OperationsUser: user, OperationsPassword: password},
			open: viaOrderManager(func(h *http.Client, l *slog.Logger) (ordermanager.Auth, error) {
				token, err := ordermanager.UserToken(urls.Operations, 1, ordermanager.WithHTTPClient(h), ordermanager.WithLogger(l),
					ordermanager.WithOperationsLogin(user, password), ordermanager.WithMaxTries(2),
					ordermanager.WithMaxWait(time.Millisecond))
				return ordermanager.TokenFunc(token), err
			}),
		},
		"OAuth": {config: commercetest.Config{ConsumerKey: consumerKey, ConsumerSecret: consumerSecret},
			open: viaOrderManager(
				func(*http.Client, *slog.Logger) (ordermanager.Auth, error) {
					return ordermanager.OAuth1(consumerKey, consumerSecret), nil
				})},
		"Billing with HTTP Basic": {
			config: commercetest.Config{BillingLogin: commercetest.LoginBasic, BillingUser: user, BillingPassword: password},
			open:   viaBilling(billing.Basic(user, password)), numeric: true,
		},
		"Billing with members": {
			config: commercetest.Config{BillingLogin: commercetest.LoginInCall, BillingUser: user, BillingPassword: password},
			open:   viaBilling(billing.LoginInCall(user, password)), numeric: true,
		},
		"the gateway of Simple API": {config: simple, numeric: true, open: viaSimpleAPI(
			simpleapi.GatewayToken(simpleKey, simpleapi.GatewayLogin{User: user, Password: password, Marketplace: "us"}))},
		"Keycloak": {config: simple, numeric: true, open: viaSimpleAPI(
			simpleapi.KeycloakToken(simpleKey, simpleapi.KeycloakLogin{
				URL: urls.Keycloak, Realm: commercetest.DefaultRealm, ClientID: commercetest.DefaultClientID,
				ClientSecret: clientSecret, User: user, Password: password,
			}))},
		"a fixed token of Simple API": {config: simple, numeric: true, strange: true,
			open: viaSimpleAPI(simpleapi.Token(simpleKey, apsToken))},
	}
}

func newVault() *vault {
	v := &vault{}
	for name, secret := range map[string]string{
		"the APS token": apsToken, "the consumer key": consumerKey, "the consumer secret": consumerSecret,
		"the password":      password,
		"user and password": user + ":" + password, "the subscription key": simpleKey, "the client secret": clientSecret,
		"the key of Connect": connectKey,
	} {
		v.add(name, secret)
	}
	return v
}

// rig is a system with failed orders behind a hostile proxy.
type rig struct {
	system  *commercetest.System
	server  *hostile
	secrets *vault
	log     *bytes.Buffer
	logger  *slog.Logger
	shop    shop
	ids     []string
}

func newRig(t *testing.T, l login) *rig {
	t.Helper()
	r := &rig{secrets: newVault(), log: &bytes.Buffer{}}
	l.config.StaleEventFor = -1
	var err error
	r.system, err = commercetest.New(l.config)
	require.NoError(t, err)
	for range 3 {
		r.system.Place(commercetest.OrderSpec{
			Type: commerce.TypeSales, Customer: "1002", Total: commerce.Money{Amount: decimal.New(1250, -2), Currency: "USD"},
		})
	}
	require.NoError(t, r.system.Step(t.Context()))
	for _, o := range r.system.Orders() {
		if l.numeric {
			r.ids = append(r.ids, o.BillingID)
		} else {
			r.ids = append(r.ids, o.ID)
		}
	}
	r.server = &hostile{next: r.system.Transport(), secrets: r.secrets}
	r.logger = slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.shop, err = l.open(&http.Client{Transport: r.server}, r.logger, r.ids)
	require.NoError(t, err)
	return r
}

// calls makes every call of the way in, and returns the errors.
func (r *rig) calls(ctx context.Context) (failed []error) {
	for _, err := range r.shop.Orders(ctx, commerce.FailedOrdersView().Query()) {
		failed = append(failed, err)
	}
	_, err := r.shop.Order(ctx, r.ids[0])
	failed = append(failed, err)
	_, err = r.shop.Order(ctx, "77")
	failed = append(failed, err, r.shop.Push(ctx, r.ids[0], "ZZ"), r.shop.Push(ctx, r.ids[1], commerce.StatusPaid))
	switch c := r.shop.(type) {
	case billingShop:
		failed = append(failed, c.Execute(ctx, billing.Call{Method: "AccountDetailsGet_API", Params: []any{password},
			Secrets: []string{password}}, nil))
	case *simpleapi.Client:
		_, err = c.Patch(ctx, r.ids[2], simpleapi.Patch{CreditCheck: new(true)})
		failed = append(failed, err)
	}
	return failed
}

func isToken(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/token") || strings.HasPrefix(r.URL.Path, "/operations")
}

// some returns all of the elements, or every fifth with -short.
func some(all []string) []string {
	if !testing.Short() {
		return all
	}
	var fifth []string
	for i := 0; i < len(all); i += 5 {
		fifth = append(fifth, all[i])
	}
	return fifth
}

// places are where a server misbehaves.
func places() map[string]func(r *http.Request, body string) bool {
	return map[string]func(*http.Request, string) bool{
		"the login":  func(r *http.Request, _ string) bool { return isToken(r) },
		"every call": func(r *http.Request, _ string) bool { return !isToken(r) },
		"pushes":     isPush,
	}
}

func isPush(r *http.Request, body string) bool {
	return strings.HasSuffix(r.URL.Path, "/push") || r.Method == http.MethodPatch ||
		strings.Contains(body, "OrderStatusChange_API")
}

func TestCommerceClientsShowNoSecret(t *testing.T) {
	t.Parallel()
	for name, l := range logins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hits := 0
			all := mischiefs()
			names := some(slices.Sorted(maps.Keys(all)))
			for _, what := range names {
				how := all[what]
				for at, where := range places() {
					r := newRig(t, l)
					r.server.where, r.server.how = where, how
					for _, err := range r.calls(t.Context()) {
						require.Empty(t, r.secrets.within(writtenError(err)), "%s, at %s", what, at)
					}
					require.Empty(t, r.secrets.within(r.log.String()), "the log: %s, at %s", what, at)
					require.Empty(t, r.secrets.within(written(r.shop)), "the client itself")
					hits += int(r.server.hits.Load())
				}
			}
			require.Greater(t, hits, 100*len(names)/len(all), "nothing is proved by a server that was not asked")
		})
	}
}

func TestSuccessfulCallsLogNoSecret(t *testing.T) {
	t.Parallel()
	for name, l := range logins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, l)
			for _, err := range r.calls(t.Context()) {
				require.Empty(t, r.secrets.within(writtenError(err)))
			}
			require.Contains(t, r.log.String(), `"op":"push order"`, "there is a log to look at")
			require.Empty(t, r.secrets.within(r.log.String()))
		})
	}
}

func TestConnectClientShowsNoSecret(t *testing.T) {
	t.Parallel()
	for what, how := range mischiefs() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			secrets, log := newVault(), &bytes.Buffer{}
			system := connecttest.New(connecttest.Config{Key: connectKey})
			server := &hostile{next: system.Transport(), secrets: secrets, how: how,
				where: func(*http.Request, string) bool { return true }}
			logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c, err := connect.New("https://connect.test/public/v1", connect.APIKey(connectKey), connect.WithLogger(logger),
				connect.WithHTTPClient(&http.Client{Transport: server}), connect.WithMaxTries(1))
			require.NoError(t, err)
			ctx := t.Context()
			key := connect.RequestKey{SubscriptionID: "1", Type: connect.TypePurchase}
			var failed []error
			probe, err := c.Probe(ctx)
			failed = append(failed, err, probe.Err, c.CheckAccess(ctx))
			_, err = c.Request(ctx, "PR-1")
			failed = append(failed, err)
			_, err = c.LatestRequests(ctx, []connect.RequestKey{key})
			failed = append(failed, err)
			for _, err := range c.Requests(ctx, connect.RequestQuery{}) {
				failed = append(failed, err)
			}
			for _, err := range c.Hubs(ctx, "") {
				failed = append(failed, err)
			}
			for _, err := range failed {
				require.Empty(t, secrets.within(writtenError(err)))
			}
			require.Empty(t, secrets.within(log.String()))
			require.Empty(t, secrets.within(written(c)+written(probe)))
			require.Positive(t, server.hits.Load())
		})
	}
}
