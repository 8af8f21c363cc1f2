package billing

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Credentials are how a client proves who it is. The zero value is refused by [New].
type Credentials struct {
	given bool
	http  rest.Auth
	// Functions, because printing a function shows none of what it holds.
	members func() (user, password string)
	secrets func() []string // to keep out of errors
	err     error
}

// None sends no credentials: Billing then trusts the address that a call comes
// from (inferred from programs that send none, commerce/WIRE.md#1.2).
func None() Credentials { return Credentials{given: true} }

// Basic sends a user and a password by HTTP Basic, as the code of the vendor's osaAPI can
// (commerce/WIRE.md#1.2).
func Basic(user, password string) Credentials {
	if strings.Contains(user, ":") {
		return Credentials{err: errors.New("a user of HTTP Basic cannot contain a colon")}
	}
	if err := checkLogin(user, password); err != nil {
		return Credentials{err: err}
	}
	auth, err := rest.StaticAuth("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	return Credentials{given: true, http: auth, secrets: secretsOf(user, password), err: err}
}

// Members sends a user and a password as the members Username and Password of the
// Execute struct, as two public programs do (commerce/WIRE.md#1.2).
func Members(user, password string) Credentials {
	return Credentials{
		given: true, members: func() (string, string) { return user, password },
		secrets: secretsOf(user, password), err: checkLogin(user, password),
	}
}

// checkLogin refuses what neither header nor XML can carry, without showing it.
func checkLogin(user, password string) error {
	switch both := user + password; {
	case user == "":
		return errors.New("the user is empty")
	case password == "":
		return errors.New("the password is empty")
	case !utf8.ValidString(both):
		return errors.New("the user or the password is not UTF-8")
	case strings.ContainsFunc(both, unicode.IsControl):
		return errors.New("the user or the password has a control character: was it read with its line break?")
	default:
		return nil
	}
}

// secretsOf are the texts that must not show in errors and logs.
func secretsOf(user, password string) func() []string {
	return func() []string { return []string{user + ":" + password, password} }
}

const (
	redacted = "[redacted]"
	// shortest keeps beginnings that any word could have from being cut out.
	shortest = 8
)

// scrub removes secrets from a text, and the beginnings of secrets that somebody
// has cut off to show the start of an answer.
func scrub(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret == "" {
			continue // it is everywhere
		}
		for _, spelling := range rest.Spellings(secret) {
			s = strings.ReplaceAll(s, spelling, redacted)
			for n := len(spelling) - 1; n >= shortest; n-- {
				s = strings.ReplaceAll(s, spelling[:n], redacted)
			}
		}
	}
	return s
}
