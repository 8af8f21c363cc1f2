package ordermanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/oauth1"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const tokenHeader = "APS-Token"

// Auth authenticates a client: [Token], [TokenFunc] or [OAuth1]. [New] rejects the zero value.
type Auth struct {
	rest   rest.Auth
	err    error
	advice advice
}

// Token sends a fixed APS token in the header APS-Token, as the vendor's tools do
// (commerce/WIRE.md#2.2). Its lifetime is not known, so a long-running program should use
// [TokenFunc].
func Token(token string) Auth {
	a, err := rest.StaticAuth(tokenHeader, token)
	return tokenAuth(a, err)
}

// TokenFunc calls a function for the APS token when it is first needed, and again after the
// server answered 401 or 403: once for all calls that were refused with the old token. A
// refused read is then sent once more. A refused push is not, but the next call uses the new
// token. The function is never called concurrently, and must honor its context.
func TokenFunc(token func(context.Context) (string, error)) Auth {
	a, err := rest.TokenAuth(tokenHeader, token)
	return tokenAuth(a, err)
}

func tokenAuth(a rest.Auth, err error) Auth {
	if err != nil {
		err = fmt.Errorf("the APS token cannot be used: %w", err)
	}
	return Auth{rest: a, err: err, advice: tokenAdvice}
}

// OAuth1 signs each try with two-legged OAuth 1.0a and HMAC-SHA1: with the consumer key and
// secret of a staff user, which the provider panel shows, and without a token. This is
// documented for calls through the host of the panel (commerce/WIRE.md#2.2). A signature
// contains the time, so the clock of this machine must be right. For a plus in a query see
// [WithLiteralPlus].
func OAuth1(consumerKey, consumerSecret string) Auth {
	s, err := oauth1.New(consumerKey, consumerSecret)
	return Auth{rest: s, err: err, advice: signatureAdvice}
}

// literalPlus returns a, signing a plus as a plus, which only OAuth1 supports.
func (a Auth) literalPlus() (rest.Auth, error) {
	s, ok := a.rest.(*oauth1.Signer)
	if !ok {
		return nil, errors.New("WithLiteralPlus is for OAuth1 only")
	}
	return s.WithLiteralPlus(), nil
}

// advice is what errors say about 401 and 403.
type advice struct{ unauthorized, forbidden string }

var (
	tokenAdvice = advice{
		"the APS token was refused; it has expired, or is for another hub or user: get a new one",
		"the APS token was refused; it has expired, or its user may not do this",
	}
	signatureAdvice = advice{
		"the signature was refused: check consumer key and secret, this machine's clock, and that the base URL is " +
			"the one the server has for itself",
		"the signature was refused, or the consumer's staff user may not do this",
	}
	operationsAdvice = advice{
		"Operations wants another user name and password: see WithOperationsLogin",
		"Operations does not let this machine in: check its allowed networks, or the user name and password",
	}
)
