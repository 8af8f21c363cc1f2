package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// policy allows scripts and styles from files of this server only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
	"trusted-types 'none'"

// guard decides which requests reach the pages.
type guard struct {
	hosts   []string // empty: all
	origins *http.CrossOriginProtection
}

func newGuard(c *Config) (*guard, error) {
	g := &guard{hosts: c.Hosts, origins: http.NewCrossOriginProtection()}
	for _, origin := range c.TrustedOrigins {
		if err := g.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("console: Config.TrustedOrigins: %w; give a scheme, a host and perhaps a port", err)
		}
	}
	return g, nil
}

// admit sets the headers of every response, and returns an error for a request that another site may have caused.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send Origin: null with our own forms
	h.Set("Cache-Control", "no-store")
	isHost := func(host string) bool { return strings.EqualFold(host, r.Host) }
	if len(g.hosts) > 0 && !slices.ContainsFunc(g.hosts, isHost) {
		return &problem{
			status: http.StatusMisdirectedRequest,
			text:   "this server does not answer for this host name; open the console by one of its own names",
		}
	}
	if err := g.origins.Check(r); err != nil {
		return &problem{
			status: http.StatusForbidden,
			text:   "the request comes from a page of another site; open the console itself and repeat the action there",
		}
	}
	return nil
}
