package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkPlainHTTP rejects credentials over http:// to another host, as the clients do, but
// names the flag that allows it.
func (s *settings) checkPlainHTTP() error {
	if s.way.plainHTTP {
		return nil
	}
	urls := map[string]string{"connect": s.connect, "operations": s.way.operations, "keycloak": s.way.keycloak}
	if s.way.via != viaBilling || s.way.user != "" {
		urls["commerce"] = s.way.url
	}
	for _, name := range []string{"commerce", "connect", "operations", "keycloak"} {
		u, err := url.Parse(urls[name])
		if err != nil || u.Scheme != "http" ||
			strings.EqualFold(u.Hostname(), "localhost") || net.ParseIP(u.Hostname()).IsLoopback() {
			continue // the client says what is wrong with the URL, if anything is
		}
		return fmt.Errorf("-%s: %s would get the credentials over plain http, which everybody on the way can read: "+
			"use https://, or allow it with -plain-http", name, u.Host)
	}
	return nil
}

// allowing is the option for plain http, of whichever client; none without the flag.
func allowing[Option any](plainHTTP bool, with func() Option) []Option {
	if !plainHTTP {
		return nil
	}
	return []Option{with()}
}
