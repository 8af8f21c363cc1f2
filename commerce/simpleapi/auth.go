package simpleapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const keyHeader = "X-Subscription-Key"

// Auth authenticates a client with the subscription key, which every call needs, and a token.
// [New] rejects the zero value.
//
// A token is fetched when it is first needed. It is replaced 300 s before it expires, but not
// before 80 % of its lifetime, so that a token of five minutes is not fetched for every call.
// It is also replaced after the server answered 401 or 403: once for all calls that were
// refused with the old token. A refused read is then sent once more. A refused change is not,
// but the next call uses the new token.
type Auth struct {
	// A function, because printing the struct then shows only its address.
	make func(base rest.Config) (rest.Auth, error)
}

// Token sends a fixed token, for programs that end before it expires.
func Token(subscriptionKey, token string) Auth {
	return withKey(subscriptionKey, func(rest.Config) (rest.Auth, error) {
		if token == "" {
			return nil, errors.New("the token is missing")
		}
		return rest.StaticAuth("Authorization", "Bearer "+token)
	})
}

// TokenFunc gets tokens from a function, which also returns the lifetime of each, counted from
// the call; 0 means until it is refused. The function is never called concurrently. It must
// honor its context, and its errors must not contain secrets.
func TokenFunc(subscriptionKey string, token func(context.Context) (string, time.Duration, error)) Auth {
	return withKey(subscriptionKey, func(rest.Config) (rest.Auth, error) {
		if token == nil {
			return nil, errors.New("the token function is missing")
		}
		return bearer(token)
	})
}

// GatewayToken signs in with a login and gets tokens from Simple API itself, with POST {base}/token, as its
// specification says (documented, variant A of commerce/WIRE.md#3).
func GatewayToken(subscriptionKey string, l GatewayLogin) Auth {
	return withKey(subscriptionKey, func(base rest.Config) (rest.Auth, error) {
		s, err := l.signIn(subscriptionKey, base)
		if err != nil {
			return nil, err
		}
		return bearer(s.token)
	})
}

// KeycloakToken gets tokens from the provider's Keycloak with a password. A public client does this
// (variant B of commerce/WIRE.md#3).
func KeycloakToken(subscriptionKey string, l KeycloakLogin) Auth {
	return withKey(subscriptionKey, func(base rest.Config) (rest.Auth, error) {
		s, err := l.signIn(base)
		if err != nil {
			return nil, err
		}
		return bearer(s.token)
	})
}

func bearer(token func(context.Context) (string, time.Duration, error)) (rest.Auth, error) {
	return rest.ExpiringTokenAuth("Authorization", func(ctx context.Context) (string, time.Duration, error) {
		t, life, err := token(ctx)
		if err == nil && t == "" {
			err = errors.New("it is empty")
		}
		return "Bearer " + t, life, err
	})
}

// withKey adds the subscription key to requests that get a token.
func withKey(key string, token func(rest.Config) (rest.Auth, error)) Auth {
	return Auth{make: func(base rest.Config) (rest.Auth, error) {
		if key == "" {
			return nil, errors.New("the subscription key (" + keyHeader + ") is missing")
		}
		k, err := rest.StaticAuth(keyHeader, key)
		if err != nil {
			return nil, fmt.Errorf("the subscription key (%s) cannot be used: %w", keyHeader, err)
		}
		t, err := token(base)
		if err != nil {
			return nil, err
		}
		return keyed{Auth: t, key: k}, nil
	}}
}

// keyed sends a key and a token, and renews only the token.
type keyed struct {
	rest.Auth
	key rest.Auth
}

func (k keyed) Apply(ctx context.Context, r *http.Request) error {
	if err := k.key.Apply(ctx, r); err != nil {
		return err
	}
	return k.Auth.Apply(ctx, r)
}
