package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkPlainHTTP rejects credentials over http:// to another host. The clients do that too, but do not name the flag
// that allows it.
func (s *settings) checkPlainHTTP() error {
	if s.api.plainHTTP {
		return nil
	}
	urls := map[string]string{"connect": s.connect, "operations": s.api.operations, "keycloak": s.api.keycloak}
	if s.api.via != viaBilling || s.api.user != "" {
		urls["commerce"] = s.api.url
	}
	for _, name := range []string{"commerce", "connect", "operations", "keycloak"} {
		u, err := url.Parse(urls[name])
		if err != nil || u.Scheme != "http" ||
			strings.EqualFold(u.Hostname(), "localhost") || net.ParseIP(u.Hostname()).IsLoopback() {
			continue // the client checks the rest of the URL
		}
		return fmt.Errorf("-%s: the credentials would be sent to %s over plain http, which others on the network can read: "+
			"use https://, or allow it with -plain-http", name, u.Host)
	}
	return nil
}

// allowing returns the option of a client that allows plain http, or none without -plain-http.
func allowing[Option any](plainHTTP bool, with func() Option) []Option {
	if !plainHTTP {
		return nil
	}
	return []Option{with()}
}
