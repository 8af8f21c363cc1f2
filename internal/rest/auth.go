package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Auth adds credentials to requests. Implementations are safe for concurrent use.
type Auth interface {
	// Apply sets credentials on a request, fetching them if needed.
	Apply(ctx context.Context, r *http.Request) error
	// Renew is called when a request with credentials was answered with 401 or 403. It
	// reports whether there are new credentials to try; concurrent calls renew once.
	Renew(ctx context.Context, r *http.Request) bool
}

// StaticAuth sends the same header with every request.
func StaticAuth(header, value string) (Auth, error) {
	if err := checkCredential(value); err != nil {
		return nil, err
	}
	return static{header, func() string { return value }}, nil
}

// BasicAuth sends a name and a password with every request (RFC 7617).
func BasicAuth(name, password string) (Auth, error) {
	switch {
	case name == "":
		return nil, errors.New("the user name is empty")
	case strings.Contains(name, ":"):
		return nil, errors.New("the user name has a colon, which HTTP Basic cannot send")
	case password == "":
		return nil, errors.New("the password is empty")
	case strings.ContainsFunc(name+password, unicode.IsControl):
		return nil, errors.New("the user name or the password has a control character: was it read with its line break?")
	}
	return StaticAuth("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

type static struct {
	header string
	// value is a function, because printing the struct then shows only its address.
	value func() string
}

func (a static) Apply(_ context.Context, r *http.Request) error {
	r.Header.Set(a.header, a.value())
	return nil
}

func (static) Renew(context.Context, *http.Request) bool { return false }

// TokenAuth sends a token in a header. It calls the function when a token is first needed and
// after the server refused a token, never concurrently. An error is not cached.
func TokenAuth(header string, token func(context.Context) (string, error)) (Auth, error) {
	if token == nil {
		return nil, errNoTokenFunc
	}
	return ExpiringTokenAuth(header, func(ctx context.Context) (string, time.Duration, error) {
		t, err := token(ctx)
		return t, 0, err
	})
}

// ExpiringTokenAuth is [TokenAuth] for tokens with a lifetime, counted from the call; 0 means
// unknown. A token is replaced 300 s before it expires, but not before 80 % of its lifetime, so
// that a short-lived one is not fetched for every call.
func ExpiringTokenAuth(header string, token func(context.Context) (string, time.Duration, error)) (Auth, error) {
	if token == nil {
		return nil, errNoTokenFunc
	}
	return &tokens{header: header, fetch: token, lock: make(chan struct{}, 1)}, nil
}

var errNoTokenFunc = errors.New("the token function is missing")

type tokens struct {
	header string
	fetch  func(context.Context) (string, time.Duration, error)
	// lock guards the fields below. It is a channel, so that waiting for another
	// caller's fetch ends with the waiter's context.
	lock  chan struct{}
	token func() string // as in static; nil: none
	stale time.Time     // when to replace the token; zero: when it is refused
}

func (a *tokens) Apply(ctx context.Context, r *http.Request) error {
	if err := a.acquire(ctx); err != nil {
		return err
	}
	defer a.release()
	if a.token == nil || !a.stale.IsZero() && !time.Now().Before(a.stale) {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	r.Header.Set(a.header, a.token())
	return nil
}

func (a *tokens) Renew(ctx context.Context, r *http.Request) bool {
	refused := r.Header.Get(a.header)
	if err := a.acquire(ctx); err != nil {
		return false
	}
	defer a.release()
	if a.token != nil && a.token() != refused {
		return true // another caller has renewed it
	}
	a.token = nil
	return a.renew(ctx) == nil && a.token() != refused
}

func (a *tokens) renew(ctx context.Context) error {
	asked := time.Now()
	token, life, err := a.fetch(ctx)
	if err != nil {
		return fmt.Errorf("the token could not be fetched: %w", err)
	}
	if err := checkCredential(token); err != nil {
		return fmt.Errorf("the token function returned no token: %w", err)
	}
	a.token, a.stale = func() string { return token }, time.Time{}
	if life > 0 {
		a.stale = asked.Add(life - min(300*time.Second, life/5))
	}
	return nil
}

func (a *tokens) acquire(ctx context.Context) error {
	select {
	case a.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the token: %w", ctx.Err())
	}
}

func (a *tokens) release() { <-a.lock }

// checkCredential finds what net/http would reject later with a less clear error.
func checkCredential(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("the credential is empty")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return fmt.Errorf("the credential has a control character or a letter outside ASCII at byte %d: was it "+
				"read with its line break?", i)
		}
	}
	return nil
}
