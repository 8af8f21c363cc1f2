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

// The ways into Commerce.
const (
	viaOrderManager = "ordermanager"
	viaBilling      = "billing"
	viaSimpleAPI    = "simpleapi"
)

// way is how the job gets into Commerce: by which API, where that is, and as whom.
// The secrets come from the environment alone, and go to the clients alone.
type way struct {
	via, url, authorities string
	plainHTTP             bool // allowed to other hosts

	// ordermanager
	token                       string // also simpleapi
	consumerKey, consumerSecret string
	operations                  string
	operationsUser              int

	// billing
	members bool

	// simpleapi
	key, marketplace          string
	keycloak, realm, clientID string
	clientSecret              string

	user, password string

	logger *slog.Logger // for warnings of the clients; nil: none
}

const environment = `
Secrets come from the environment alone:
  CONNECT_API_KEY                    the key for Connect
  -via ordermanager: COMMERCE_TOKEN, an APS token; or
    COMMERCE_CONSUMER_KEY and COMMERCE_CONSUMER_SECRET, to sign by OAuth 1.0a; or
    with -operations: COMMERCE_USER and COMMERCE_PASSWORD, for HTTP Basic, or
    none where Operations knows the address of this machine
  -via billing: COMMERCE_USER and COMMERCE_PASSWORD, or none where Billing knows
    the address of this machine
  -via simpleapi: COMMERCE_KEY, the subscription key, and either COMMERCE_TOKEN or
    COMMERCE_USER and COMMERCE_PASSWORD; with -keycloak also COMMERCE_CLIENT_SECRET
`

func (w *way) flags(flags *flag.FlagSet) {
	flags.StringVar(&w.via, "via", viaOrderManager, "`API` of Commerce to use: ordermanager, billing or simpleapi")
	flags.StringVar(&w.url, "commerce", "",
		"base `URL` of the API of -via; without it both systems are test systems in this process")
	flags.StringVar(&w.authorities, "ca", "",
		"PEM `file` of the authorities that may sign Commerce's certificate (default: those of the machine)")
	flags.BoolVar(&w.plainHTTP, "plain-http", false,
		"allow http:// to other hosts, although everybody on the way can read the credentials")
	flags.StringVar(&w.operations, "operations", "",
		"with -via ordermanager: `URL` of Operations (port 8440), to fetch APS tokens there")
	flags.IntVar(&w.operationsUser, "operations-user", 1, "with -operations: the `id` of the user to fetch tokens for")
	flags.BoolVar(&w.members, "members", false,
		"with -via billing: send user and password inside the call, not by HTTP Basic")
	flags.StringVar(&w.marketplace, "marketplace", "", "with -via simpleapi: the `marketplace` to sign in to, such as us")
	flags.StringVar(&w.keycloak, "keycloak", "", "with -via simpleapi: `URL` of Keycloak, up to /realms, to sign in there")
	flags.StringVar(&w.realm, "realm", "", "with -keycloak: the `realm`")
	flags.StringVar(&w.clientID, "client-id", "", "with -keycloak: the `client`")
}

// flagOf tells which way a flag is for.
var flagOf = map[string]string{
	"operations": viaOrderManager, "operations-user": viaOrderManager, "members": viaBilling,
	"marketplace": viaSimpleAPI, "keycloak": viaSimpleAPI, "realm": viaSimpleAPI, "client-id": viaSimpleAPI,
}

func (w *way) fromEnv(getenv func(string) string) {
	for name, to := range map[string]*string{
		"COMMERCE_TOKEN": &w.token, "COMMERCE_USER": &w.user, "COMMERCE_PASSWORD": &w.password,
		"COMMERCE_CONSUMER_KEY": &w.consumerKey, "COMMERCE_CONSUMER_SECRET": &w.consumerSecret,
		"COMMERCE_KEY": &w.key, "COMMERCE_CLIENT_SECRET": &w.clientSecret,
	} {
		*to = getenv(name)
	}
}

// check finds what is missing, for a real system.
func (w *way) check() error {
	if (w.user == "") != (w.password == "") {
		return errors.New("the environment variables COMMERCE_USER and COMMERCE_PASSWORD go together: set both, or none")
	}
	switch w.via {
	case viaOrderManager:
		if (w.consumerKey == "") != (w.consumerSecret == "") {
			return errors.New(
				"the environment variables COMMERCE_CONSUMER_KEY and COMMERCE_CONSUMER_SECRET go together: set both, or none")
		}
		if n := count(w.token != "", w.consumerKey != "", w.operations != ""); n != 1 {
			return fmt.Errorf("to sign in to Order Management set one of COMMERCE_TOKEN (an APS token), "+
				"COMMERCE_CONSUMER_KEY and -operations: %d of them are set", n)
		}
	case viaBilling:
		if w.members && w.user == "" {
			return errors.New("-members sends a user and a password: put them in COMMERCE_USER and COMMERCE_PASSWORD")
		}
	case viaSimpleAPI:
		switch {
		case w.key == "":
			return errors.New("the environment variable COMMERCE_KEY is empty: put the subscription key of Simple API there")
		case count(w.token != "", w.user != "") != 1:
			return errors.New("set either COMMERCE_TOKEN, or COMMERCE_USER and COMMERCE_PASSWORD, to sign in to Simple API")
		case w.keycloak != "" && (w.realm == "" || w.clientID == "" || w.user == ""):
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

// play points the way at the test systems.
func (w *way) play(world *sandbox.World) {
	urls := commercetest.URLsAt(world.CommerceURL)
	*w = way{via: w.via, logger: w.logger}
	switch w.via {
	case viaBilling:
		w.url = urls.Billing
	case viaSimpleAPI:
		w.url, w.key = urls.SimpleAPI, commercetest.DefaultSimpleKey
		w.user, w.password = commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword
	default:
		w.url, w.token = urls.OrderManager, world.CommerceToken
	}
}

// shop is Commerce as the job sees it.
type shop interface {
	resubmit.OrderLister
	resubmit.OrderReader
	resubmit.Pusher
	Capabilities() commerce.Capabilities
	System() string
}

// billingShop lists the orders that the operator selected, as Billing cannot.
type billingShop struct {
	*billing.Client
	*billing.Source
}

// open makes the client. selected are the orders of -ids.
func (w *way) open(selected []billing.Line) (shop, error) {
	switch w.via {
	case viaBilling:
		client, err := billing.New(w.url, w.billingLogin(),
			options(w, billing.WithTLSFiles, billing.WithPlainHTTP, billing.WithLogger)...)
		if err != nil {
			return nil, err
		}
		return billingShop{client, client.FromList(selected)}, nil
	case viaSimpleAPI:
		return simpleapi.New(w.url, w.simpleLogin(),
			options(w, simpleapi.WithTLSFiles, simpleapi.WithPlainHTTP, simpleapi.WithLogger)...)
	default:
		login, err := w.orderManagerLogin()
		if err != nil {
			return nil, err
		}
		return ordermanager.New(w.url, login,
			options(w, ordermanager.WithTLSFiles, ordermanager.WithPlainHTTP, ordermanager.WithLogger)...)
	}
}

// options are those of whichever client for a private authority, plain http and warnings.
func options[Option any](
	w *way, tlsFiles func(cert, key, authorities string) Option, plainHTTP func() Option, logger func(*slog.Logger) Option,
) []Option {
	all := allowing(w.plainHTTP, plainHTTP)
	if w.logger != nil {
		all = append(all, logger(w.logger))
	}
	if w.authorities != "" {
		all = append(all, tlsFiles("", "", w.authorities))
	}
	return all
}

func (w *way) orderManagerLogin() (ordermanager.Auth, error) {
	switch {
	case w.consumerKey != "":
		return ordermanager.OAuth1(w.consumerKey, w.consumerSecret), nil
	case w.operations != "":
		opts := options(w, ordermanager.WithTLSFiles, ordermanager.WithPlainHTTP, ordermanager.WithLogger)
		if w.user != "" {
			opts = append(opts, ordermanager.WithBasicAuth(w.user, w.password))
		}
		token, err := ordermanager.UserToken(w.operations, w.operationsUser, opts...)
		return ordermanager.TokenFunc(token), err
	default:
		return ordermanager.Token(w.token), nil
	}
}

func (w *way) billingLogin() billing.Credentials {
	switch {
	case w.user == "":
		return billing.None()
	case w.members:
		return billing.Members(w.user, w.password)
	default:
		return billing.Basic(w.user, w.password)
	}
}

func (w *way) simpleLogin() simpleapi.Auth {
	switch {
	case w.token != "":
		return simpleapi.Token(w.key, w.token)
	case w.keycloak != "":
		return simpleapi.KeycloakToken(w.key, simpleapi.KeycloakLogin{
			URL: w.keycloak, Realm: w.realm, ClientID: w.clientID, ClientSecret: w.clientSecret, User: w.user,
			Password: w.password,
		})
	default:
		return simpleapi.GatewayToken(w.key, simpleapi.GatewayLogin{User: w.user, Password: w.password,
			Marketplace: w.marketplace})
	}
}

// showUntold says what this way into Commerce cannot tell, and what is done about it.
func (w *way) showUntold(out io.Writer, caps commerce.Capabilities, targets []commerce.Status) {
	var notes []string
	if w.via == viaBilling {
		notes = append(notes, "cannot list orders, so only those of -ids are planned")
	}
	if !caps.Failure {
		notes = append(notes, "does not say why orders failed, so they are decided by -order, -ids and Connect")
	}
	if !caps.Transitions {
		codes := make([]string, len(targets))
		for i, t := range targets {
			codes[i] = string(t)
		}
		notes = append(notes, "does not say which transitions an order offers, so "+strings.Join(codes, ", ")+
			" are tried in turn until Commerce accepts one")
	}
	if len(notes) == 0 {
		return
	}
	fmt.Fprintln(out)
	page.Paragraph(out, "", "-via "+w.via+" "+strings.Join(notes, "; ")+".")
}
