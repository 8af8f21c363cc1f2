package rest

import (
	"net/url"
	"strings"
)

// BaseURL returns the normalized base URL followed by path: scheme and host are in lower case,
// without default port and trailing slash. It has no credentials and no query.
func (c *Client) BaseURL(path string) string {
	u, err := url.Parse(c.base)
	if err != nil { // New has checked it
		return c.base
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[scheme]
	host = strings.TrimSuffix(strings.TrimSuffix(host, defaultPort), ":")
	full := u.EscapedPath()
	if path != "" {
		full += "/" + strings.Trim(path, "/")
	}
	return scheme + "://" + host + strings.TrimRight(full, "/")
}
