package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// pages are the addresses of all pages.
var pages = []string{
	"", "orders", "orders.csv", "plan", "plan.csv", "changes", "approve", "run", "confirm?action=cancel", "task", "order",
	"order?order=SO000001", "history", "history.csv", "report?format=html", "report?format=csv", "report?format=json",
	"nothing",
}

// actions are the addresses of all actions, with the role that each needs.
var actions = map[string]console.Role{
	"read": console.Control, "plan": console.Control, "override": console.Control, "discard": console.Control,
	"control": console.Control, "continue": console.Control,
	"approve": console.Approve, "revoke": console.Approve, "resolve": console.Approve,
}

func TestNewRejectsWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := console.New(console.Config{})
	require.ErrorContains(t, err, "Config.State is nil")
	_, err = console.New(console.Config{State: new(state.Dir)})
	require.ErrorContains(t, err, "Config.Authorize is nil")
	ok := func(*http.Request, console.Action) (string, error) { return "", nil }
	_, err = console.New(console.Config{State: new(state.Dir), Authorize: ok, TrustedOrigins: []string{"nonsense"}})
	require.ErrorContains(t, err, "Config.TrustedOrigins")
}

func TestEachActionNeedsItsRole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		s.plan()
		for _, has := range console.Roles() {
			s.setRoles(console.View, has)
			for _, page := range pages {
				status, body := s.get(page)
				require.NotEqual(t, http.StatusForbidden, status, "%s sees %s: %s", has, page, body)
			}
			for action, needs := range actions {
				status, body := read(t, s.post(action))
				if needs == has {
					require.NotEqual(t, http.StatusForbidden, status, "%s does %s: %s", has, action, body)
				} else {
					require.Equal(t, http.StatusForbidden, status, "%s must not do %s", has, action)
					require.Contains(t, body, "the role "+string(needs)+" is missing")
				}
			}
		}
		s.setRoles()
		for _, page := range append(pages, "events") {
			status, _ := s.get(page)
			require.Equal(t, http.StatusForbidden, status, page)
		}
		require.Zero(t, s.shop.sent())
	})
}

func TestControlsThatAreDeniedSayWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		run := s.plan()
		s.setRoles(console.View)
		for _, page := range []string{"", "plan", "approve", "run"} {
			body := s.page(page)
			require.Regexp(t, `<button[^>]* disabled`, body, page)
			require.NotRegexp(t, `<button type="submit"( class="[a-z]*")?>[^F]`, body, page)
			require.Contains(t, body, "is missing", page)
		}
		require.Equal(t, run.ID, s.run().ID)
	})
}

func TestHeadersOfEveryResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		s.plan()
		for _, page := range append(pages, "static/console.css", "static/console.js", "static/icon.svg") {
			h := s.serve(s.request(http.MethodGet, page, nil)).Header
			csp := h.Get("Content-Security-Policy")
			for _, part := range []string{
				"default-src 'none'", "script-src 'self';", "style-src 'self';", "form-action 'self'", "base-uri 'none'",
				"frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
			} {
				require.Contains(t, csp, part, page)
			}
			require.NotContains(t, csp, "unsafe", page)
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), page)
			require.Equal(t, "same-origin", h.Get("Referrer-Policy"), page)
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"), page)
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), page)
			if h.Get("Location") == "" {
				require.Contains(t, h.Get("Content-Type"), "charset=utf-8", page)
			}
			if !strings.HasPrefix(page, "static") {
				require.Equal(t, "no-store", h.Get("Cache-Control"), page)
			}
		}
	})
}

func TestOtherHostsAndOriginsAreRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.mount(func(c *console.Config) { c.TrustedOrigins = []string{"https://proxy.example.net"} })
		rebound := s.request(http.MethodGet, "", nil)
		rebound.Host = "evil.example.com"
		require.Equal(t, http.StatusMisdirectedRequest, s.serve(rebound).StatusCode)
		for name, header := range map[string][2]string{
			"another site":              {"Sec-Fetch-Site", "cross-site"},
			"another port of this host": {"Sec-Fetch-Site", "same-site"},
			"another origin":            {"Origin", "https://evil.example.com"},
			"a sandboxed page":          {"Origin", "null"},
		} {
			for action := range actions {
				r := s.request(http.MethodPost, action, url.Values{"all": {"1"}})
				r.Header.Del("Sec-Fetch-Site")
				r.Header.Set(header[0], header[1])
				status, body := read(t, s.serve(r))
				require.Equal(t, http.StatusForbidden, status, "%s: %s", name, action)
				require.Contains(t, body, "another site")
			}
		}
		for _, origin := range []string{"https://ops.example.net", "https://proxy.example.net"} {
			r := s.request(http.MethodPost, "read", nil)
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", origin)
			require.Equal(t, http.StatusSeeOther, s.serve(r).StatusCode, origin)
		}
	})
}

func TestNothingIsDoneByAGet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		run := s.plan()
		calls := s.shop.calls
		for action := range actions {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
				r := s.request(method, action+"?all=1&plan="+url.QueryEscape(run.Digest)+"&action=cancel", nil)
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				s.serve(r)
			}
		}
		for _, page := range pages {
			s.get(page)
		}
		require.Equal(t, calls, s.shop.calls, "no page calls a system")
		after := s.run()
		require.Equal(t, run, after)
		status, err := s.dir.Status()
		require.NoError(t, err)
		require.Empty(t, status.Commands)
	})
}

func TestLargeFormsAndFiltersAreRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		s.plan()
		status, _ := read(t, s.post("plan", "q", strings.Repeat("x", 65<<10)))
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
		status, body := read(t, s.post("plan", "q", "eq(type,"+strings.Repeat("S", 5000)+")"))
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, body, "longer than 4096 bytes")
		for _, query := range []string{
			"eq(type,SO", "eq(color,red)", "and()", strings.Repeat("not(", 80) + "everything()" + strings.Repeat(")", 80),
			"eq(billingId,1)", "func(x)", "eq(type," + strings.Repeat("S", 5000) + ")",
		} {
			status, body := s.get("plan?q=" + url.QueryEscape(query))
			require.Equal(t, http.StatusUnprocessableEntity, status, query)
			require.Contains(t, body, `href="#q"`, query)
			require.Contains(t, body, `role="alert"`, query)
		}
		for _, target := range []string{
			"plan?n=1", "plan?n=many", "plan?from=x", "plan?tab=send", "confirm?action=approve", "report?format=exe",
		} {
			status, _ := s.get(target)
			require.GreaterOrEqual(t, status, 400, target)
			require.Less(t, status, 500, target)
		}
		status, _ = s.get("plan?run=nothing")
		require.Equal(t, http.StatusNotFound, status)
	})
}

func TestTextsOfOthersAreHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` + "\u202e\x1b[2J\x00\u200b" +
			"=cmd|' /C calc'!A0"
		s := newSite(t, 10)
		for i, o := range s.shop.orders {
			o.Number, o.CustomerName, o.VendorAccountID = hostile+o.Number, hostile, hostile
			o.Failure.Messages["en_US"] = hostile + " 503 Service Unavailable"
			if i > 7 {
				o.Failure.Messages["en_US"] = hostile
			}
		}
		s.see("read")
		s.plan()
		pages := append(pages, "plan?q="+url.QueryEscape("eq(number,"+`"`+hostile+`")`), "plan?tab="+url.QueryEscape(hostile),
			"order?order="+url.QueryEscape(hostile), "run?run="+url.QueryEscape(hostile), "plan?window="+url.QueryEscape(hostile))
		for _, page := range pages {
			_, body := s.get(page)
			body = value.ReplaceAllString(body, "") // which is not shown, and is submitted as it is
			require.NotContains(t, body, "\u202e", page)
			require.NotContains(t, body, "\x1b", page)
			require.NotContains(t, body, "\u200b", page)
			if strings.Contains(page, "csv") {
				require.NotRegexp(t, `(?m)(^|,)"?[=+\-@]`, body, page)
			}
			if !strings.Contains(page, "csv") && !strings.Contains(page, "json") {
				require.NotContains(t, body, "<img", page)
				require.NotContains(t, body, "<script>", page)
			}
		}
		_, body := read(t, s.post("control", "action", hostile, "run", hostile, "why", hostile))
		require.NotContains(t, body, "<img")
	})
}

var value = regexp.MustCompile(` value="[^"]*"`)

var attribute = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

func TestLinksAreRelative(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.see("read")
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		s.wait()
		for _, page := range pages {
			res := s.serve(s.request(http.MethodGet, page, nil))
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || res.Header.Get("Content-Disposition") != "" {
				continue
			}
			_, body := read(t, res)
			for _, link := range attribute.FindAllStringSubmatch(body, -1) {
				require.NotRegexp(t, `^/|:|^\.\.`, strings.Split(link[1], "?")[0], "%s: %s", page, link[0])
			}
			require.NotContains(t, body, "style=")
			require.NotRegexp(t, `\son[a-z]+=`, body)
		}
	})
}
