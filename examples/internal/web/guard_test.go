package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/web"
	"github.com/cloudblue-go/cloudblue/examples/internal/web/webtest"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "served")
	})
	server := httptest.NewServer(web.Guard(served, web.Hosts{}))
	t.Cleanup(server.Close)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		res, body := webtest.RequireGuarded(t, server.URL, webtest.Call{Method: method, Path: "/x"})
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "served", body)
	}
	for name, header := range map[string]http.Header{
		"the server's own page":     {"Origin": {server.URL}, "Sec-Fetch-Site": {"same-origin"}},
		"an address that was typed": {"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}},
		"a link in another page":    {"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}},
	} {
		res, _ := webtest.Call{Method: http.MethodGet, Header: header}.Do(t, server.URL)
		require.Equal(t, http.StatusOK, res.StatusCode, name)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	names := []string{"localhost", "localhost:80", "LOCALHOST", "127.0.0.1", "127.0.0.2:9", "[::1]:80", "[::1]",
		"[::ffff:127.0.0.1]:80"}
	addresses := []string{"192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80"}
	foreign := []string{"evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
		"localhost@evil.example", "[evil.example]", "2130706433", "0x7f.1", ""}
	for _, c := range []struct {
		hosts            web.Hosts
		allowed, refused []string
	}{
		{web.Hosts{}, names, append(addresses, foreign...)},
		{web.Hosts{AnyAddress: true}, append(names, addresses...), foreign},
		{web.Hosts{Names: []string{"evil.example"}}, append(names, foreign[:2]...), append(addresses, foreign[2:5]...)},
	} {
		h := web.Guard(http.NotFoundHandler(), c.hosts)
		status := func(host string) int {
			r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
			r.Host = host
			h.ServeHTTP(w, r)
			return w.Code
		}
		for _, host := range c.allowed {
			require.Equal(t, http.StatusNotFound, status(host), host)
		}
		for _, host := range c.refused {
			require.Equal(t, http.StatusMisdirectedRequest, status(host), host)
		}
	}
}
