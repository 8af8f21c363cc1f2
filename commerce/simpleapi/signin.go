package simpleapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// GatewayLogin is the login of a user of Simple API.
type GatewayLogin struct {
	User     string
	Password string
	// Marketplace is the marketplace, such as "us"; empty if none is sent.
	Marketplace string
}

// KeycloakLogin is the login of a user of the provider's Keycloak.
type KeycloakLogin struct {
	// URL is the URL of Keycloak before /realms: "https://brand.example.net/auth".
	URL   string
	Realm string
	// ClientID and ClientSecret identify the client; a public client has no secret.
	ClientID     string
	ClientSecret string
	User         string
	Password     string
	// Scope is the requested scope. Default: "openid".
	Scope string
}

// Format implements fmt.Formatter: it does not print the password.
func (l GatewayLogin) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "GatewayLogin(%s)", l.User)
}

// Format implements fmt.Formatter: it does not print the secrets.
func (l KeycloakLogin) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "KeycloakLogin(%s at %s)", l.User, l.URL)
}

// signIn fetches tokens with one request.
type signIn struct {
	client *rest.Client
	req    rest.Request
}

func (l GatewayLogin) signIn(key string, base rest.Config) (*signIn, error) {
	switch {
	case l.User == "":
		return nil, errors.New("the user of the gateway login is missing")
	case strings.Contains(l.User, ":"):
		return nil, errors.New("the user of the gateway login has a colon, which HTTP Basic cannot send")
	case l.Password == "":
		return nil, errors.New("the password of the gateway login is missing")
	}
	body, err := json.Marshal(struct {
		Marketplace string `json:"marketplace,omitempty"`
	}{l.Marketplace})
	if err != nil {
		return nil, err
	}
	basic := base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password))
	return newSignIn(base, rest.Request{
		Path: "token", Body: body,
		Header:  http.Header{"Authorization": {"Basic " + basic}, keyHeader: {key}},
		Secrets: []string{l.Password, basic, key},
	})
}

func (l KeycloakLogin) signIn(base rest.Config) (*signIn, error) {
	for _, field := range []struct{ name, value string }{
		{"URL", l.URL}, {"realm", l.Realm}, {"client id", l.ClientID}, {"user", l.User}, {"password", l.Password},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("the %s of the Keycloak login is missing", field.name)
		}
	}
	realm, err := rest.PathEscape(l.Realm)
	if err != nil {
		return nil, fmt.Errorf("the realm of the Keycloak login: %w", err)
	}
	form := url.Values{
		"grant_type": {"password"}, "username": {l.User}, "password": {l.Password},
		"client_id": {l.ClientID}, "scope": {cmp.Or(l.Scope, "openid")},
	}
	if l.ClientSecret != "" {
		form.Set("client_secret", l.ClientSecret)
	}
	base.BaseURL = l.URL
	s, err := newSignIn(base, rest.Request{
		Path: "realms/" + realm + "/protocol/openid-connect/token", Body: []byte(form.Encode()),
		Header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Secrets: []string{l.Password, l.ClientSecret},
	})
	if err != nil {
		return nil, fmt.Errorf("the Keycloak login: %w", err)
	}
	return s, nil
}

// newSignIn returns a separate client for tokens with the same settings. A login changes
// nothing, so it is retried like a read, but not for long, because calls wait for it.
func newSignIn(base rest.Config, req rest.Request) (*signIn, error) {
	base.MaxWait = min(base.MaxWait, 10*time.Second)
	base.Refused = apiRefuses // WithRefusals is about pushes
	client, err := rest.New(base)
	if err != nil {
		return nil, err
	}
	req.Op, req.Method, req.Safety = opToken, http.MethodPost, rest.Read
	return &signIn{client, req}, nil
}

// token fetches a token and returns it with its lifetime.
func (s *signIn) token(ctx context.Context) (string, time.Duration, error) {
	var raw json.RawMessage
	resp, err := s.client.JSON(ctx, s.req, &raw)
	if err != nil {
		return "", 0, refusedLogin(ctx, err)
	}
	r, err := fields.Of(raw)
	if err != nil {
		return "", 0, noToken(resp)
	}
	token := cmp.Or(r.Text("token"), r.Text("access_token"))
	life := lifetime(cmp.Or(r.Text("expiresInSeconds"), r.Text("expires_in")))
	if token == "" || r.Err() != nil {
		return "", 0, noToken(resp) // the error of a field could show the token
	}
	return token, life, nil
}

// lifetime parses seconds. It returns 0 for an unknown lifetime: the token is then used until
// it is refused.
func lifetime(seconds string) time.Duration {
	const most = 365 * 24 * 3600 // keeps the product in range
	n, err := number.ParseFloat(seconds, 64)
	if err != nil || !(n > 0) {
		return 0
	}
	return time.Duration(min(n, most) * float64(time.Second))
}

func refusedLogin(ctx context.Context, err error) *commerce.Error {
	e := convert(ctx, opToken, err)
	switch {
	case e.HTTPStatus >= 200 && e.HTTPStatus <= 299:
		// The answer may contain a part of a token.
		e.Body, e.Code, e.Message = "", "", ""
		e.Err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, errNoToken)
	case e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden ||
		e.HTTPStatus == http.StatusBadRequest:
		e.Err = errors.New("the login was refused: check user, password, client and subscription key")
	}
	return e
}

var errNoToken = errors.New("the answer has no token: is the URL right?")

func noToken(resp *rest.Response) *commerce.Error {
	return &commerce.Error{Op: opToken, HTTPStatus: resp.Status, CorrelationID: resp.ScrubHeader(correlationHeader),
		Err: errNoToken}
}
