package console

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// listener is a listener at an address.
type listener struct {
	net.Listener
	addr net.Addr
}

func (l listener) Addr() net.Addr { return l.addr }

func at(ip string) net.Listener { return listener{addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711}} }

func openDir(t testing.TB) *state.Dir {
	t.Helper()
	d, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state"), state.Config{
		Systems: resubmit.Systems{Name: "commerce.example.net", Capabilities: commerce.Capabilities{Transitions: true}},
		Plan:    resubmit.PlanConfig{Filter: filter.Everything()},
		Anchor:  state.FileAnchor(filepath.Join(t.TempDir(), "anchor")),
	})
	require.NoError(t, err)
	return d
}

// browse sends a request to a page of a standalone console, with a cookie if it is not nil.
func browse(t *testing.T, s *Standalone, method, target string, cookie *http.Cookie, form url.Values) *http.Response {
	t.Helper()
	return visitAt(t, s, method, strings.TrimSuffix(s.console.session.path, "/")+target, cookie, form)
}

// visitAt sends a request to any address of a standalone console.
func visitAt(
	t *testing.T, s *Standalone, method, target string, cookie *http.Cookie, form url.Values,
) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4711"+target,
		strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func TestStandaloneNeedsALoopbackAddress(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"0.0.0.0", "10.0.0.7", "::", "2001:db8::1"} {
		_, err := standalone(at(ip), Config{State: openDir(t)})
		require.ErrorContains(t, err, "is not a loopback address", ip)
	}
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		_, err := standalone(at(ip), Config{State: openDir(t)})
		require.NoError(t, err, ip)
	}
}

func TestTheLinkOpensOneSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := standalone(at("127.0.0.1"), Config{State: openDir(t)})
		require.NoError(t, err)
		defer s.console.Close()
		link, found := strings.CutPrefix(s.URL(), "http://127.0.0.1:4711")
		require.True(t, found)
		require.GreaterOrEqual(t, len(s.console.session.link), 52, "256 bits")

		for _, target := range []string{"/", "/plan", "/events", "/history.csv"} {
			require.Equal(t, http.StatusUnauthorized, browse(t, s, http.MethodGet, target, nil, nil).StatusCode, target)
		}
		for _, target := range []string{"/login", "/login?token=", "/login?token=x"} {
			require.Equal(t, http.StatusUnauthorized, visitAt(t, s, http.MethodGet, target, nil, nil).StatusCode, target)
		}
		res := visitAt(t, s, http.MethodGet, link, nil, nil)
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		require.Equal(t, s.console.session.path, res.Header.Get("Location"), "the token is not in the address any more")
		cookie := res.Cookies()[0]
		require.True(t, cookie.HttpOnly)
		require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
		require.Equal(t, "cloudblue-console-4711", cookie.Name)
		require.Equal(t, http.StatusOK, browse(t, s, http.MethodGet, "/", cookie, nil).StatusCode)
		require.Equal(t, http.StatusUnauthorized, visitAt(t, s, http.MethodGet, link, nil, nil).StatusCode, "it was used")
		forged := &http.Cookie{Name: cookie.Name, Value: "x"}
		require.Equal(t, http.StatusUnauthorized, browse(t, s, http.MethodGet, "/", forged, nil).StatusCode)

		rebound := httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			"http://evil.example.com:4711"+s.console.session.path, nil)
		rebound.AddCookie(cookie)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, rebound)
		require.Equal(t, http.StatusMisdirectedRequest, w.Code)

		time.Sleep(12*time.Hour + time.Second)
		require.Equal(t, http.StatusUnauthorized, browse(t, s, http.MethodGet, "/", cookie, nil).StatusCode, "it has ended")
	})
}

func TestTheCookieAloneOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := standalone(at("127.0.0.1"), Config{State: openDir(t)})
		require.NoError(t, err)
		defer s.console.Close()
		res := visitAt(t, s, http.MethodGet, "/login?token="+s.console.session.link, nil, nil)
		cookie := res.Cookies()[0]
		require.Greater(t, len(cookie.Path), 52, "256 bits, so that no server on another port gets the cookie")
		require.Equal(t, s.console.session.path, cookie.Path)
		for _, target := range []string{"/", "/approve", "/plan", "/static/console.css", "/x/approve", "//", "/login/"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				res := visitAt(t, s, method, target, cookie, nil)
				require.Contains(t, []int{http.StatusNotFound, http.StatusTemporaryRedirect}, res.StatusCode, target)
				body, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.NotContains(t, string(body)+res.Header.Get("Location"), strings.Trim(cookie.Path, "/"), target)
				require.NotContains(t, string(body), "commerce.example.net", target)
			}
		}
		require.Equal(t, http.StatusUnauthorized, browse(t, s, http.MethodGet, "/approve", nil, nil).StatusCode,
			"the path alone opens nothing either")
		require.Equal(t, http.StatusOK, browse(t, s, http.MethodGet, "/static/console.css", nil, nil).StatusCode)
		require.Equal(t, http.StatusOK, browse(t, s, http.MethodGet, "/history", cookie, nil).StatusCode)
	})
}

func TestTheLinkIsValidForFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := standalone(at("127.0.0.1"), Config{State: openDir(t)})
		require.NoError(t, err)
		defer s.console.Close()
		time.Sleep(5*time.Minute + time.Second)
		res := visitAt(t, s, http.MethodGet, "/login?token="+s.console.session.link, nil, nil)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.Empty(t, res.Cookies())
	})
}

func TestFormsNeedTheTokenOfTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := standalone(at("127.0.0.1"), Config{State: openDir(t)})
		require.NoError(t, err)
		defer s.console.Close()
		cookie := visitAt(t, s, http.MethodGet, "/login?token="+s.console.session.link, nil, nil).Cookies()[0]
		token := s.console.session.token()
		require.NotEqual(t, cookie.Value, token)
		for _, r := range routes(new(streams)) {
			if !r.changes() {
				continue
			}
			path := strings.TrimPrefix(r.pattern, "POST ")
			for _, wrong := range []string{"", "x", cookie.Value} {
				res := browse(t, s, http.MethodPost, path, cookie, url.Values{"token": {wrong}})
				require.Equal(t, http.StatusForbidden, res.StatusCode, path)
			}
			res := browse(t, s, http.MethodPost, path+"?token="+token, cookie, nil)
			require.Equal(t, http.StatusForbidden, res.StatusCode, "%s: addresses are no secrets", path)
			res = browse(t, s, http.MethodPost, path, cookie, url.Values{"token": {token}})
			require.NotEqual(t, http.StatusForbidden, res.StatusCode, path)
		}
	})
}

func TestLiveUpdatesEndWithTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := standalone(at("127.0.0.1"), Config{State: openDir(t)})
		require.NoError(t, err)
		defer s.console.Close()
		cookie := visitAt(t, s, http.MethodGet, "/login?token="+s.console.session.link, nil, nil).Cookies()[0]
		_, err = s.console.site.tasks.start("Waiting", "", func(ctx context.Context, _ *task) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		require.NoError(t, err)
		time.AfterFunc(13*time.Hour, s.console.Close)
		begin := time.Now()
		require.Equal(t, http.StatusOK, browse(t, s, http.MethodGet, "/events?task=1", cookie, nil).StatusCode)
		require.InDelta(t, 12*time.Hour, time.Since(begin), float64(10*time.Second))
	})
}
