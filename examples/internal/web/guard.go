// Package web protects HTTP handlers from requests that pages of other origins cause in a browser.
package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// headers are set on every response, so that browsers do not guess its type, run scripts in it, show it in a frame or
// cache it.
var headers = map[string]string{
	"X-Content-Type-Options": "nosniff",
	"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"sandbox",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-store",
}

// Guard returns a handler that rejects requests for a host that is not allowed (421) and requests that a page of
// another
// origin caused (403). Requests of programs other than browsers have no Origin and are allowed.
func Guard(h http.Handler, allowed Hosts) http.Handler {
	h = http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		switch {
		case !allowed.match(r.Host):
			http.Error(w, "the host of the request is not allowed", http.StatusMisdirectedRequest)
		case isForeign(r):
			http.Error(w, "requests from pages of other origins are not allowed", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isForeign reports whether a page of another origin caused a request. Following a link to this server is allowed;
// [http.CrossOriginProtection] is stricter about requests that change something.
func isForeign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	default:
		return r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
}

// Hosts are the hosts that a server accepts in the Host header, with any port. This prevents DNS rebinding: a page
// whose
// domain is pointed at this machine sends the name of that domain. The zero value accepts localhost and the loopback
// addresses.
type Hosts struct {
	// Names are accepted besides localhost, for instance the name of a container.
	Names []string
	// AnyAddress accepts every IP address, for servers that are reached from other machines. Rebinding needs a name.
	AnyAddress bool
}

func (a Hosts) match(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") // without a port
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return a.AnyAddress || ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(name, "localhost") ||
		slices.ContainsFunc(a.Names, func(n string) bool { return strings.EqualFold(name, n) })
}
