// Package web protects HTTP handlers that a browser can reach from the pages of others.
package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// headers are set on every response. They are for browsers: the content is what its
// type says, loads and runs nothing, is shown in no frame, and is not kept.
var headers = map[string]string{
	"X-Content-Type-Options": "nosniff",
	"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"sandbox",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-store",
}

// Guard returns a handler that answers only requests for a host that is allowed (else
// 421) and that no page of another origin has caused (else 403). Programs other than
// browsers send no Origin, and are answered.
func Guard(h http.Handler, allowed Hosts) http.Handler {
	h = http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		switch {
		case !allowed.match(r.Host):
			http.Error(w, "this server does not answer for the host of the request", http.StatusMisdirectedRequest)
		case isForeign(r):
			http.Error(w, "requests from the pages of other origins are not answered", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isForeign reports whether a page of another origin caused a request, whatever its
// method. Following a link to this server is allowed; requests that change something
// are stricter, see [http.CrossOriginProtection].
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

// Hosts are the hosts that a server answers for, whatever the port. A page whose
// domain was pointed at this machine after it was loaded (DNS rebinding) has the name
// of that domain in the Host header. The zero value is localhost and the loopback
// addresses.
type Hosts struct {
	// Names are allowed besides localhost, for instance the name of a container.
	Names []string
	// AnyAddress allows every IP address, and not only the loopback ones: for servers
	// that are reached from other machines. An address cannot be pointed elsewhere.
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
