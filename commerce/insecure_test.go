package commerce_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
)

const secret = "s3cret-of-the-test"

// allowed are the options that a constructor is called with.
type allowed struct {
	plain, insecure bool
	http            *http.Client
}

func options[Option any](a allowed, plain, insecure Option, withHTTP func(*http.Client) Option) []Option {
	all := append(optional(a.plain, plain), optional(a.insecure, insecure)...)
	if a.http != nil {
		all = append(all, withHTTP(a.http))
	}
	return all
}

// constructors are all that send or get secrets to or from a URL.
func constructors() map[string]func(url string, a allowed) (any, error) {
	om := func(a allowed) []ordermanager.Option {
		return options(a, ordermanager.WithPlainHTTP(), ordermanager.WithInsecureTLS(), ordermanager.WithHTTPClient)
	}
	bm := func(a allowed) []billing.Option {
		return options(a, billing.WithPlainHTTP(), billing.WithInsecureTLS(), billing.WithHTTPClient)
	}
	sa := func(a allowed) []simpleapi.Option {
		return options(a, simpleapi.WithPlainHTTP(), simpleapi.WithInsecureTLS(), simpleapi.WithHTTPClient)
	}
	gateway := simpleapi.GatewayLogin{User: "user", Password: secret}
	keycloak := func(url string) simpleapi.Auth {
		return simpleapi.KeycloakToken(secret,
			simpleapi.KeycloakLogin{URL: url, Realm: "r", ClientID: "c", User: "u", Password: secret})
	}
	return map[string]func(url string, a allowed) (any, error){
		"Token": func(url string, a allowed) (any, error) {
			return ordermanager.New(url, ordermanager.Token(secret), om(a)...)
		},
		"OAuth1": func(url string, a allowed) (any, error) {
			return ordermanager.New(url, ordermanager.OAuth1("key", secret), om(a)...)
		},
		"Basic": func(url string, a allowed) (any, error) {
			return billing.New(url, billing.Basic("user", secret), bm(a)...)
		},
		"Members": func(url string, a allowed) (any, error) {
			return billing.New(url, billing.LoginInCall("user", secret), bm(a)...)
		},
		"GatewayToken": func(url string, a allowed) (any, error) {
			return simpleapi.New(url, simpleapi.GatewayToken(secret, gateway), sa(a)...)
		},
		"KeycloakToken": func(url string, a allowed) (any, error) {
			return simpleapi.New("https://h.example", keycloak(url), sa(a)...)
		},
		"UserToken": func(url string, a allowed) (any, error) { return ordermanager.UserToken(url, 1, om(a)...) },
		"connect": func(url string, a allowed) (any, error) {
			opts := options(a, connect.WithPlainHTTP(), connect.WithInsecureTLS(), connect.WithHTTPClient)
			return connect.New(url, connect.APIKey("SU-000-000-000:"+secret), opts...)
		},
		"ical": func(url string, a allowed) (any, error) {
			opts := options(a, ical.WithPlainHTTP(), ical.WithInsecureTLS(), ical.WithHTTPClient)
			return ical.New(url+"/"+secret+"/basic.ics", opts...)
		},
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, construct := range constructors() {
		t.Run("rejects plain http/"+name, func(t *testing.T) {
			t.Parallel()
			for _, url := range []string{
				"http://h.example", "HTTP://h.example:8080", "http://10.0.0.1", "http://[2001:db8::1]", "http://128.0.0.1",
				"http://localhost.example", "http://127.0.0.1.example",
			} {
				_, err := construct(url, allowed{})
				require.ErrorContains(t, err, "WithPlainHTTP", url)
				require.NotContains(t, err.Error(), secret)
				_, err = construct(url, allowed{plain: true})
				require.NoError(t, err, url)
			}
			for _, url := range []string{
				"https://h.example", "http://127.0.0.1:8080", "http://127.8.9.1", "http://[::1]:8080", "http://localhost",
				"http://LocalHost:1",
			} {
				_, err := construct(url, allowed{})
				require.NoError(t, err, url)
			}
		})
		t.Run("rejects insecure TLS/"+name, func(t *testing.T) {
			t.Parallel()
			for want, settings := range insecure() {
				h := &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}
				_, err := construct("https://h.example", allowed{http: h})
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, err, "WithInsecureTLS")
				_, err = construct("https://h.example", allowed{http: h, insecure: true})
				require.NoError(t, err)
			}
			h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}}
			_, err := construct("https://h.example", allowed{http: h})
			require.NoError(t, err)
		})
	}
	t.Run("rejects insecure TLS/statuspage", func(t *testing.T) {
		t.Parallel()
		for _, settings := range insecure() {
			h := statuspage.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: settings}})
			_, err := statuspage.New("https://h.example", h)
			require.ErrorContains(t, err, "WithInsecureTLS")
			_, err = statuspage.New("https://h.example", h, statuspage.WithInsecureTLS())
			require.NoError(t, err)
		}
	})
	t.Run("rejects insecure TLS/WithTLSConfig", func(t *testing.T) {
		t.Parallel()
		for _, settings := range insecure() {
			_, err := ordermanager.New("https://h.example", ordermanager.Token(secret), ordermanager.WithTLSConfig(settings))
			require.ErrorContains(t, err, "WithInsecureTLS")
			_, err = billing.New("https://h.example", billing.NoLogin(), billing.WithTLSConfig(settings))
			require.ErrorContains(t, err, "WithInsecureTLS")
			_, err = simpleapi.New("https://h.example", simpleapi.Token(secret, secret), simpleapi.WithTLSConfig(settings))
			require.ErrorContains(t, err, "WithInsecureTLS")
			_, err = connect.New("https://h.example", connect.APIKey("SU-0:"+secret), connect.WithTLSConfig(settings))
			require.ErrorContains(t, err, "WithInsecureTLS")
			_, err = ordermanager.New("https://h.example", ordermanager.Token(secret),
				ordermanager.WithTLSConfig(settings), ordermanager.WithInsecureTLS())
			require.NoError(t, err)
		}
	})
	t.Run("without credentials takes plain http", func(t *testing.T) {
		t.Parallel()
		_, err := billing.New("http://bm.example:5224", billing.NoLogin())
		require.NoError(t, err)
		_, err = statuspage.New("http://status.example")
		require.NoError(t, err)
	})
}

// insecure settings, and what the error for each names.
func insecure() map[string]*tls.Config {
	return map[string]*tls.Config{
		"InsecureSkipVerify": {InsecureSkipVerify: true},
		"MinVersion":         {MinVersion: tls.VersionTLS10},
		"MaxVersion":         {MaxVersion: tls.VersionTLS11},
	}
}

// No verb of fmt prints a secret, of a pointer or of a value.
func TestFormat(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"ordermanager.Auth":   ordermanager.Token(secret),
		"ordermanager.OAuth1": ordermanager.OAuth1("key", secret),
		"billing.Basic":       billing.Basic("user", secret),
		"billing.Members":     billing.LoginInCall("user", secret),
		"simpleapi.Auth":      simpleapi.Token(secret, secret),
		"simpleapi.Gateway":   simpleapi.GatewayToken(secret, simpleapi.GatewayLogin{User: "user", Password: secret}),
		"simpleapi.Login":     simpleapi.GatewayLogin{User: "user", Password: secret},
		"simpleapi.Keycloak":  simpleapi.KeycloakLogin{User: "user", Password: secret, ClientSecret: secret},
		"simpleapi.*Login":    &simpleapi.GatewayLogin{User: "user", Password: secret},
		"simpleapi.*Keycloak": &simpleapi.KeycloakLogin{User: "user", Password: secret, ClientSecret: secret},
		"billing.Call":        billing.Call{Method: "M", Params: []any{secret}, Secrets: []string{secret}},
		"billing.*Call":       &billing.Call{Method: "M", Params: []any{secret}, Secrets: []string{secret}},
		"connect.APIKey":      connect.APIKey("SU-000-000-000:" + secret),
		"ordermanager.Option": ordermanager.WithOperationsLogin("user", secret),
	}
	for name, construct := range constructors() {
		c, err := construct("https://h.example", allowed{})
		require.NoError(t, err)
		values["made with "+name] = c
	}
	om := values["made with Token"].(*ordermanager.Client)
	values["*ordermanager.Client"] = *om
	values["*billing.Client"] = *values["made with Basic"].(*billing.Client)
	values["*simpleapi.Client"] = *values["made with GatewayToken"].(*simpleapi.Client)
	values["*connect.Client"] = *values["made with connect"].(*connect.Client)
	source := values["made with ical"].(*ical.Source)
	values["in a struct"] = struct{ Source *ical.Source }{source}
	// Tokens that were fetched are kept.
	fetched := ordermanager.TokenFunc(func(context.Context) (string, error) { return secret, nil })
	bearer := func(context.Context) (string, time.Duration, error) { return secret, 0, nil }
	fetchedToo := simpleapi.TokenFunc(secret, bearer)
	url, _ := answering(t, kinds()[0], http.StatusOK, "{}")
	used, err := ordermanager.New(url, fetched)
	require.NoError(t, err)
	require.NoError(t, used.Push(t.Context(), orderID, "PD"))
	usedToo, err := simpleapi.New(url, fetchedToo)
	require.NoError(t, err)
	require.NoError(t, usedToo.Push(t.Context(), orderID, "PD"))
	values["TokenFunc"], values["simpleapi.TokenFunc"] = fetched, fetchedToo
	values["used"], values["used too"] = used, usedToo
	values["hidden"] = struct {
		auth   ordermanager.Auth
		source *ical.Source
		client *ordermanager.Client
	}{fetched, source, used}
	values["in a map"] = map[string]any{"source": source, "client": om}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, secret, "%s printed with %s", name, verb)
			assert.NotContains(t, text, fmt.Sprintf("%x", secret), "%s printed with %s", name, verb)
		}
	}
}
