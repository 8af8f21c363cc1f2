package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// The APIs of Commerce.
const (
	viaOrderManager = "ordermanager"
	viaBilling      = "billing"
	viaSimpleAPI    = "simpleapi"
)

// commerceAPI is the API of Commerce to use, with its credentials.
type commerceAPI struct {
	commerceConfig
	token                       string // of ordermanager or simpleapi
	consumerKey, consumerSecret string
	key, clientSecret           string // of simpleapi
	user, password              string

	logger *slog.Logger
	wrap   func(http.RoundTripper) http.RoundTripper // middleware; nil for none
	rows   int                                       // of a page; 0 for the default
}

// commerceClient is the client of any API.
type commerceClient interface {
	resubmit.Client
	resubmit.OrderLister
}

// billingClient lists the orders of -ids, since Billing cannot list orders.
type billingClient struct {
	*billing.Client
	*billing.Lister
}

// api returns the API of the configuration, after a check.
func (p *program) api(c *config) (*commerceAPI, error) {
	a := &commerceAPI{commerceConfig: c.Commerce, logger: p.logger()}
	a.TLS.Certificate, a.TLS.Key, a.TLS.Authorities = c.path(a.TLS.Certificate), c.path(a.TLS.Key),
		c.path(a.TLS.Authorities)
	for name, to := range map[string]*string{
		"COMMERCE_TOKEN": &a.token, "COMMERCE_USER": &a.user, "COMMERCE_PASSWORD": &a.password,
		"COMMERCE_CONSUMER_KEY": &a.consumerKey, "COMMERCE_CONSUMER_SECRET": &a.consumerSecret,
		"COMMERCE_KEY": &a.key, "COMMERCE_CLIENT_SECRET": &a.clientSecret,
	} {
		var err error
		if *to, err = p.secret(c, name); err != nil {
			return nil, err
		}
	}
	for _, check := range []func() error{a.checkVia, a.check, func() error { return checkPlainHTTP(a, &c.Connect) }} {
		if err := check(); err != nil {
			return nil, usageError{err}
		}
	}
	return a, nil
}

// checkVia rejects settings that are for another API.
func (a *commerceAPI) checkVia() error {
	switch a.Via {
	case viaOrderManager, viaBilling, viaSimpleAPI:
	default:
		return fmt.Errorf("-via %q: give ordermanager, billing or simpleapi", a.Via)
	}
	for _, s := range []struct {
		name, via string
		given     bool
	}{
		{"operations", viaOrderManager, a.Operations != ""}, {"operationsUser", viaOrderManager, a.OperationsUser != 0},
		{"loginInCall", viaBilling, a.LoginInCall}, {"currency", viaBilling, a.Currency != ""},
		{"marketplace", viaSimpleAPI, a.Marketplace != ""}, {"keycloak", viaSimpleAPI, a.Keycloak != keycloakConfig{}},
	} {
		if s.given && a.Via != s.via {
			return fmt.Errorf("commerce.%s of the configuration needs -via %s, but that is %s", s.name, s.via, a.Via)
		}
	}
	return nil
}

// check returns an error if something is missing.
func (a *commerceAPI) check() error {
	if (a.user == "") != (a.password == "") {
		return errors.New("the environment variables COMMERCE_USER and COMMERCE_PASSWORD belong together: set both or none")
	}
	switch a.Via {
	case viaOrderManager:
		if (a.consumerKey == "") != (a.consumerSecret == "") {
			return errors.New(
				"the environment variables COMMERCE_CONSUMER_KEY and COMMERCE_CONSUMER_SECRET belong together: set both or none")
		}
		if n := count(a.token != "", a.consumerKey != "", a.Operations != ""); n != 1 {
			return fmt.Errorf("to sign in to Order Management set one of COMMERCE_TOKEN (an APS token), "+
				"COMMERCE_CONSUMER_KEY and commerce.operations of the configuration: %d of them are set", n)
		}
	case viaBilling:
		if a.LoginInCall && a.user == "" {
			return errors.New("commerce.loginInCall needs the environment variables COMMERCE_USER and COMMERCE_PASSWORD")
		}
	case viaSimpleAPI:
		switch {
		case a.key == "":
			return errors.New("the environment variable COMMERCE_KEY is empty: set it to the subscription key of Simple API")
		case count(a.token != "", a.user != "") != 1:
			return errors.New("set either COMMERCE_TOKEN, or COMMERCE_USER and COMMERCE_PASSWORD, to sign in to Simple API")
		case a.Keycloak.URL != "" && (a.Keycloak.Realm == "" || a.Keycloak.ClientID == "" || a.user == ""):
			return errors.New("commerce.keycloak needs realm and clientId, and COMMERCE_USER and COMMERCE_PASSWORD")
		}
	}
	return nil
}

// checkPlainHTTP rejects credentials over http:// to another host. The clients do that too, but do not name the flag
// that allows it.
func checkPlainHTTP(a *commerceAPI, connect *connectConfig) error {
	urls := []struct {
		name, url string
		allowed   bool
	}{
		{"-commerce", a.URL, a.PlainHTTP || a.Via == viaBilling && a.user == ""},
		{"-connect", connect.URL, connect.PlainHTTP}, {"commerce.operations", a.Operations, a.PlainHTTP},
		{"commerce.keycloak.url", a.Keycloak.URL, a.PlainHTTP},
	}
	for _, c := range urls {
		u, err := url.Parse(c.url)
		if err != nil || c.allowed || u.Scheme != "http" ||
			strings.EqualFold(u.Hostname(), "localhost") || net.ParseIP(u.Hostname()).IsLoopback() {
			continue // the client checks the rest of the URL
		}
		return fmt.Errorf("%s: the credentials would be sent to %s over plain http, which others on the network can read: "+
			"use https://, or allow it with -plain-http", c.name, u.Host)
	}
	return nil
}

// open returns the client. selected are the orders of -ids.
func (a *commerceAPI) open(selected []billing.OrderRef) (commerceClient, error) {
	switch a.Via {
	case viaBilling:
		opts := clientOptions(a, billing.WithTLSFiles, billing.WithPlainHTTP, billing.WithLogger, billing.WithMiddleware)
		if a.Currency != "" {
			opts = append(opts, billing.WithDefaultCurrency(a.Currency))
		}
		client, err := billing.New(a.URL, a.billingLogin(), opts...)
		if err != nil {
			return nil, err
		}
		return billingClient{client, client.FromRefs(selected)}, nil
	case viaSimpleAPI:
		opts := clientOptions(a, simpleapi.WithTLSFiles, simpleapi.WithPlainHTTP, simpleapi.WithLogger,
			simpleapi.WithMiddleware)
		if a.rows > 0 {
			opts = append(opts, simpleapi.WithPageSize(a.rows))
		}
		return simpleapi.New(a.URL, a.simpleLogin(), opts...)
	default:
		login, err := a.orderManagerLogin()
		if err != nil {
			return nil, err
		}
		opts := a.orderManagerOptions()
		if a.rows > 0 {
			opts = append(opts, ordermanager.WithPageSize(a.rows))
		}
		return ordermanager.New(a.URL, login, opts...)
	}
}

func (a *commerceAPI) orderManagerOptions() []ordermanager.Option {
	return clientOptions(a, ordermanager.WithTLSFiles, ordermanager.WithPlainHTTP, ordermanager.WithLogger,
		ordermanager.WithMiddleware)
}

// clientOptions returns the options of a client for certificates, plain http, warnings and middleware.
func clientOptions[Option any](
	a *commerceAPI, tlsFiles func(cert, key, authorities string) Option, plainHTTP func() Option,
	logger func(*slog.Logger) Option, middleware func(func(http.RoundTripper) http.RoundTripper) Option,
) []Option {
	all := []Option{logger(a.logger)}
	if a.wrap != nil {
		all = append(all, middleware(a.wrap))
	}
	if a.PlainHTTP {
		all = append(all, plainHTTP())
	}
	if a.TLS != (tlsConfig{}) {
		all = append(all, tlsFiles(a.TLS.Certificate, a.TLS.Key, a.TLS.Authorities))
	}
	return all
}

func (a *commerceAPI) orderManagerLogin() (ordermanager.Auth, error) {
	switch {
	case a.consumerKey != "":
		return ordermanager.OAuth1(a.consumerKey, a.consumerSecret), nil
	case a.Operations != "":
		opts := a.orderManagerOptions()
		if a.user != "" {
			opts = append(opts, ordermanager.WithOperationsLogin(a.user, a.password))
		}
		token, err := ordermanager.UserToken(a.Operations, max(a.OperationsUser, 1), opts...)
		return ordermanager.TokenFunc(token), err
	default:
		return ordermanager.Token(a.token), nil
	}
}

func (a *commerceAPI) billingLogin() billing.Auth {
	switch {
	case a.user == "":
		return billing.NoLogin()
	case a.LoginInCall:
		return billing.LoginInCall(a.user, a.password)
	default:
		return billing.Basic(a.user, a.password)
	}
}

func (a *commerceAPI) simpleLogin() simpleapi.Auth {
	switch {
	case a.token != "":
		return simpleapi.Token(a.key, a.token)
	case a.Keycloak.URL != "":
		return simpleapi.KeycloakToken(a.key, simpleapi.KeycloakLogin{
			URL: a.Keycloak.URL, Realm: a.Keycloak.Realm, ClientID: a.Keycloak.ClientID, ClientSecret: a.clientSecret,
			User: a.user, Password: a.password,
		})
	default:
		return simpleapi.GatewayToken(a.key, simpleapi.GatewayLogin{User: a.user, Password: a.password,
			Marketplace: a.Marketplace})
	}
}

// limitsOf says what an API cannot do or does not report, and the consequences; "" for nothing.
func limitsOf(via string, caps commerce.Capabilities, targets []commerce.Status) string {
	var notes []string
	if via == viaBilling {
		notes = append(notes, "cannot list orders, so only those of -ids are planned")
	}
	if !caps.Failure {
		notes = append(notes, "does not report why orders failed, so -order, -ids and Connect decide")
	}
	if !caps.Transitions {
		codes := make([]string, len(targets))
		for i, t := range targets {
			codes[i] = string(t)
		}
		notes = append(notes, "does not report which transitions an order offers, so "+strings.Join(codes, ", ")+
			" are tried in turn until Commerce accepts one")
	}
	if len(notes) == 0 {
		return ""
	}
	return "-via " + via + " " + strings.Join(notes, "; ") + "."
}
