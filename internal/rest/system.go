package rest

import (
	"net/url"
	"strings"
)

// System identifies the system that the client calls: kind and the normalized base URL followed
// by path. Scheme and host are in lower case, without default port and trailing slash.
func (c *Client) System(kind, path string) string {
	u, err := url.Parse(c.base)
	if err != nil { // New has checked it
		return kind + " " + c.base
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[scheme]
	host = strings.TrimSuffix(strings.TrimSuffix(host, defaultPort), ":")
	full := u.EscapedPath()
	if path != "" {
		full += "/" + strings.Trim(path, "/")
	}
	return kind + " " + scheme + "://" + host + strings.TrimRight(full, "/")
}
