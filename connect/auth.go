package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Auth adds credentials to the calls of a [Client]. [APIKey] is the usual implementation;
// implement it to fetch a key from a vault. It must be safe for concurrent use.
type Auth interface {
	// Apply sets the credentials on a call, fetching them if needed.
	Apply(ctx context.Context, r *http.Request) error
	// Renew is called when a call was refused with 401 or 403. It reports whether to
	// try again with new credentials.
	Renew(ctx context.Context, r *http.Request) bool
}

const keyScheme = "ApiKey "

// APIKey returns credentials from a token of the Connect portal, "ApiKey SU-…:secret" or
// "SU-…:secret" (documented, connect/WIRE.md#1). [New] rejects other forms. The key is never
// printed.
func APIKey(key string) Auth {
	key = strings.TrimSpace(key)
	if len(key) >= len(keyScheme) && strings.EqualFold(key[:len(keyScheme)], keyScheme) {
		key = strings.TrimSpace(key[len(keyScheme):])
	}
	return apiKey(func() string { return key })
}

// apiKey is a function, so that printing a struct that holds it shows only an address.
type apiKey func() string

// Apply sets the header.
func (a apiKey) Apply(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", keyScheme+a())
	return nil
}

// Renew returns false: a refused key stays refused.
func (a apiKey) Renew(context.Context, *http.Request) bool { return false }

// Format hides the key from all verbs of package fmt.
func (a apiKey) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "ApiKey [hidden]") }

func (a apiKey) check() error {
	key := a()
	id, secret, found := strings.Cut(key, ":")
	switch {
	case key == "":
		return errors.New("the API key is empty")
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return errors.New("the API key has a space or an unprintable character in it")
	case !strings.HasPrefix(id, "SU-"):
		return errors.New("the API key does not start with SU-: copy it from Integrations, Tokens in the Connect portal")
	case !found || secret == "":
		return errors.New("the API key has no secret: its form is SU-xxx-xxx-xxx:secret")
	default:
		return nil
	}
}

// credentials marks the errors of an Auth: they say nothing about Connect.
type credentials struct{ Auth }

// Apply sets the credentials on a call.
func (a credentials) Apply(ctx context.Context, r *http.Request) error {
	if err := a.Auth.Apply(ctx, r); err != nil {
		return &credentialsError{err}
	}
	return nil
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }
