package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// The APIs of Commerce.
const (
	viaOrderManager = "ordermanager"
	viaBilling      = "billing"
	viaSimpleAPI    = "simpleapi"
)

// commerceAPI is the API of Commerce to use, its address and its credentials, which come from the environment only.
type commerceAPI struct {
	via, url, authorities string
	plainHTTP             bool // allow credentials over http:// to other hosts

	// ordermanager
	token                       string // also simpleapi
	consumerKey, consumerSecret string
	operations                  string
	operationsUser              int

	// billing
	members  bool
	currency string

	// simpleapi
	key, marketplace          string
	keycloak, realm, clientID string
	clientSecret              string

	user, password string

	logger *slog.Logger // for warnings of the clients; nil for none
}

const environment = `
Credentials come from environment variables only:
  Connect:           CONNECT_API_KEY
  -via ordermanager: COMMERCE_TOKEN, an APS token; or COMMERCE_CONSUMER_KEY and
                     COMMERCE_CONSUMER_SECRET, for OAuth 1.0a; or with
                     -operations: COMMERCE_USER and COMMERCE_PASSWORD, or none
                     if Operations trusts the address of this machine
  -via billing:      COMMERCE_USER and COMMERCE_PASSWORD, or none if Billing
                     trusts the address of this machine
  -via simpleapi:    COMMERCE_KEY, the subscription key, and either
                     COMMERCE_TOKEN or COMMERCE_USER and COMMERCE_PASSWORD; with
                     -keycloak also COMMERCE_CLIENT_SECRET
`

func (a *commerceAPI) flags(flags *flag.FlagSet) {
	flags.StringVar(&a.via, "via", viaOrderManager, "`API` of Commerce to use: ordermanager, billing or simpleapi")
	flags.StringVar(&a.url, "commerce", "",
		"base `URL` of the API of -via; without it the program uses test systems in its own process")
	flags.StringVar(&a.authorities, "ca", "",
		"PEM `file` of the certificate authorities for Commerce (default: those of the machine)")
	flags.BoolVar(&a.plainHTTP, "plain-http", false,
		"allow http:// to other hosts, although others on the network can read the credentials")
	flags.StringVar(&a.operations, "operations", "",
		"with -via ordermanager: `URL` of Operations (port 8440), to get APS tokens from")
	flags.IntVar(&a.operationsUser, "operations-user", 1, "with -operations: `id` of the user to get tokens for")
	flags.BoolVar(&a.members, "login-in-call", false,
		"with -via billing: send user and password inside each call instead of by HTTP Basic")
	flags.StringVar(&a.currency, "currency", "",
		"with -via billing: ISO `code` of the currency of orders, for an old Billing that does not send it")
	flags.StringVar(&a.marketplace, "marketplace", "", "with -via simpleapi: `marketplace` to sign in to, such as us")
	flags.StringVar(&a.keycloak, "keycloak", "", "with -via simpleapi: `URL` of Keycloak before /realms, to sign in there")
	flags.StringVar(&a.realm, "realm", "", "with -keycloak: `realm` to sign in to")
	flags.StringVar(&a.clientID, "client-id", "", "with -keycloak: `id` of the client")
}

// flagOf is the API that a flag is for.
var flagOf = map[string]string{
	"operations": viaOrderManager, "operations-user": viaOrderManager, "login-in-call": viaBilling, "currency": viaBilling,
	"marketplace": viaSimpleAPI, "keycloak": viaSimpleAPI, "realm": viaSimpleAPI, "client-id": viaSimpleAPI,
}

func (a *commerceAPI) fromEnv(getenv func(string) string) {
	for name, to := range map[string]*string{
		"COMMERCE_TOKEN": &a.token, "COMMERCE_USER": &a.user, "COMMERCE_PASSWORD": &a.password,
		"COMMERCE_CONSUMER_KEY": &a.consumerKey, "COMMERCE_CONSUMER_SECRET": &a.consumerSecret,
		"COMMERCE_KEY": &a.key, "COMMERCE_CLIENT_SECRET": &a.clientSecret,
	} {
		*to = getenv(name)
	}
}

// check returns an error if something is missing for a real system.
func (a *commerceAPI) check() error {
	if (a.user == "") != (a.password == "") {
		return errors.New("the environment variables COMMERCE_USER and COMMERCE_PASSWORD belong together: set both or none")
	}
	switch a.via {
	case viaOrderManager:
		if (a.consumerKey == "") != (a.consumerSecret == "") {
			return errors.New(
				"the environment variables COMMERCE_CONSUMER_KEY and COMMERCE_CONSUMER_SECRET belong together: set both or none")
		}
		if n := count(a.token != "", a.consumerKey != "", a.operations != ""); n != 1 {
			return fmt.Errorf("to sign in to Order Management set one of COMMERCE_TOKEN (an APS token), "+
				"COMMERCE_CONSUMER_KEY and -operations: %d of them are set", n)
		}
	case viaBilling:
		if a.members && a.user == "" {
			return errors.New("-login-in-call needs the environment variables COMMERCE_USER and COMMERCE_PASSWORD")
		}
	case viaSimpleAPI:
		switch {
		case a.key == "":
			return errors.New("the environment variable COMMERCE_KEY is empty: set it to the subscription key of Simple API")
		case count(a.token != "", a.user != "") != 1:
			return errors.New("set either COMMERCE_TOKEN, or COMMERCE_USER and COMMERCE_PASSWORD, to sign in to Simple API")
		case a.keycloak != "" && (a.realm == "" || a.clientID == "" || a.user == ""):
			return errors.New("-keycloak needs -realm and -client-id, and COMMERCE_USER and COMMERCE_PASSWORD")
		}
	}
	return nil
}

func count(all ...bool) (n int) {
	for _, one := range all {
		if one {
			n++
		}
	}
	return n
}

// useSandbox sets the addresses and credentials of the test systems.
func (a *commerceAPI) useSandbox(world *sandbox.World) {
	urls := commercetest.URLsAt(world.CommerceURL)
	*a = commerceAPI{via: a.via, logger: a.logger}
	switch a.via {
	case viaBilling:
		a.url = urls.Billing
	case viaSimpleAPI:
		a.url, a.key = urls.SimpleAPI, commercetest.DefaultSimpleKey
		a.user, a.password = commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword
	default:
		a.url, a.token = urls.OrderManager, world.CommerceToken
	}
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

// open returns the client. selected are the orders of -ids.
func (a *commerceAPI) open(selected []billing.OrderRef) (commerceClient, error) {
	switch a.via {
	case viaBilling:
		opts := options(a, billing.WithTLSFiles, billing.WithPlainHTTP, billing.WithLogger)
		if a.currency != "" {
			opts = append(opts, billing.WithDefaultCurrency(a.currency))
		}
		client, err := billing.New(a.url, a.billingLogin(), opts...)
		if err != nil {
			return nil, err
		}
		return billingClient{client, client.FromRefs(selected)}, nil
	case viaSimpleAPI:
		return simpleapi.New(a.url, a.simpleLogin(),
			options(a, simpleapi.WithTLSFiles, simpleapi.WithPlainHTTP, simpleapi.WithLogger)...)
	default:
		login, err := a.orderManagerLogin()
		if err != nil {
			return nil, err
		}
		return ordermanager.New(a.url, login,
			options(a, ordermanager.WithTLSFiles, ordermanager.WithPlainHTTP, ordermanager.WithLogger)...)
	}
}

// options returns the options of a client for certificate authorities, plain http and warnings.
func options[Option any](
	a *commerceAPI, tlsFiles func(cert, key, authorities string) Option, plainHTTP func() Option,
	logger func(*slog.Logger) Option,
) []Option {
	all := allowing(a.plainHTTP, plainHTTP)
	if a.logger != nil {
		all = append(all, logger(a.logger))
	}
	if a.authorities != "" {
		all = append(all, tlsFiles("", "", a.authorities))
	}
	return all
}

func (a *commerceAPI) orderManagerLogin() (ordermanager.Auth, error) {
	switch {
	case a.consumerKey != "":
		return ordermanager.OAuth1(a.consumerKey, a.consumerSecret), nil
	case a.operations != "":
		opts := options(a, ordermanager.WithTLSFiles, ordermanager.WithPlainHTTP, ordermanager.WithLogger)
		if a.user != "" {
			opts = append(opts, ordermanager.WithOperationsLogin(a.user, a.password))
		}
		token, err := ordermanager.UserToken(a.operations, a.operationsUser, opts...)
		return ordermanager.TokenFunc(token), err
	default:
		return ordermanager.Token(a.token), nil
	}
}

func (a *commerceAPI) billingLogin() billing.Auth {
	switch {
	case a.user == "":
		return billing.NoLogin()
	case a.members:
		return billing.LoginInCall(a.user, a.password)
	default:
		return billing.Basic(a.user, a.password)
	}
}

func (a *commerceAPI) simpleLogin() simpleapi.Auth {
	switch {
	case a.token != "":
		return simpleapi.Token(a.key, a.token)
	case a.keycloak != "":
		return simpleapi.KeycloakToken(a.key, simpleapi.KeycloakLogin{
			URL: a.keycloak, Realm: a.realm, ClientID: a.clientID, ClientSecret: a.clientSecret, User: a.user,
			Password: a.password,
		})
	default:
		return simpleapi.GatewayToken(a.key, simpleapi.GatewayLogin{User: a.user, Password: a.password,
			Marketplace: a.marketplace})
	}
}

// showLimits prints what this API cannot do or does not report, and the consequences.
func (a *commerceAPI) showLimits(out io.Writer, caps commerce.Capabilities, targets []commerce.Status) {
	var notes []string
	if a.via == viaBilling {
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
		return
	}
	fmt.Fprintln(out)
	page.Paragraph(out, "", "-via "+a.via+" "+strings.Join(notes, "; ")+".")
}
