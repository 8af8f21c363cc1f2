package billing

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Auth authenticates a client: [NoLogin], [Basic] or [LoginInCall]. [New] rejects the zero value.
type Auth struct {
	given bool
	http  rest.Auth
	// Functions, because printing a struct then shows only their addresses.
	members func() (user, password string)
	secrets func() []string // to keep out of errors
	err     error
}

// NoLogin sends no credentials: Billing then trusts the network address of the caller (inferred
// from programs that send none, commerce/WIRE.md#1.2).
func NoLogin() Auth { return Auth{given: true} }

// Basic sends a user and a password with HTTP Basic, as the vendor's osaAPI code can
// (commerce/WIRE.md#1.2).
func Basic(user, password string) Auth {
	if strings.Contains(user, ":") {
		return Auth{err: errors.New("a user of HTTP Basic cannot contain a colon")}
	}
	if err := checkLogin(user, password); err != nil {
		return Auth{err: err}
	}
	auth, err := rest.StaticAuth("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	return Auth{given: true, http: auth, secrets: secretsOf(user, password), err: err}
}

// LoginInCall sends a user and a password inside the XML-RPC call, as the members Username and
// Password of the Execute struct, as two public programs do (commerce/WIRE.md#1.2).
func LoginInCall(user, password string) Auth {
	return Auth{
		given: true, members: func() (string, string) { return user, password },
		secrets: secretsOf(user, password), err: checkLogin(user, password),
	}
}

// checkLogin rejects what a header or XML cannot carry. Its errors show no secret.
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

// secretsOf returns the texts that must not appear in errors and logs.
func secretsOf(user, password string) func() []string {
	return func() []string { return []string{user + ":" + password, password} }
}

const (
	redacted = "[redacted]"
	// shortest is the shortest start of a secret that is removed: shorter ones occur in words.
	shortest = 8
)

// scrub removes secrets from a text, including truncated ones at the end of an excerpt.
func scrub(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret == "" {
			continue // it would match everywhere
		}
		s = string(rest.Redact([]byte(s), []string{secret}))
		for _, spelling := range rest.Spellings(secret) {
			for n := len(spelling) - 1; n >= shortest; n-- {
				s = strings.ReplaceAll(s, spelling[:n], redacted)
			}
		}
	}
	return s
}
