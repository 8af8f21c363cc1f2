package ordermanager

import (
	"context"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const tokenHeader = "APS-Token"

// Auth is how a client proves who it is. The zero value is refused by [New].
type Auth struct {
	rest rest.Auth
	err  error
}

// Token sends a fixed APS token (facts/commerce.md 2.2). Its lifetime is not
// published, so a program that runs for long is better off with [TokenFunc].
func Token(token string) Auth {
	a, err := rest.StaticAuth(tokenHeader, token)
	return Auth{rest: a, err: err}
}

// TokenFunc fetches the APS token when it is first needed, keeps it, and fetches a
// new one when the server answers 401 or 403: once for all calls that were refused
// with the old one. A refused read is then sent once more; a refused push is
// not, but the next call has the new token. The function is never called by two
// calls at once. It must honour its context.
func TokenFunc(token func(context.Context) (string, error)) Auth {
	a, err := rest.TokenAuth(tokenHeader, token)
	return Auth{rest: a, err: err}
}
