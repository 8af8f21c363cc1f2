package reports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
)

// golang/go#47635, golang/go#48994, oven-sh/bun#42579, cloudflare/pingora#979: a server, or
// what stands before it, ends the stream of a POST with PROTOCOL_ERROR after it has read all of it.
// It may have acted: the push must not be sent a second time, by whatever layer.
func TestGo47635PushResetWithProtocolError(t *testing.T) {
	base, opt, n := h2(t, func(w io.Writer, _ int, stream uint32) bool { resetStream(w, stream, 1); return false })
	err := orderClient(t, base, opt).Push(within(t, 5*time.Second), "id-1", "PD")
	if got := n.Load(); got != 1 {
		t.Errorf("the push was sent %d times", got)
	}
	if d, ok := delivery(err); !ok || d != commerce.DeliveryUnknown {
		t.Errorf("delivery %q: %v", d, err)
	}
}

// JuliaWeb/HTTP.jl#1294: the other codes with which a stream ends, and a connection that goes away with the stream
// acknowledged.
func TestJuliaHTTP1294OtherEndsOfAStream(t *testing.T) {
	for name, end := range map[string]func(w io.Writer, n int, stream uint32) bool{
		"INTERNAL_ERROR":   func(w io.Writer, _ int, s uint32) bool { resetStream(w, s, 2); return false },
		"CANCEL":           func(w io.Writer, _ int, s uint32) bool { resetStream(w, s, 8); return false },
		"ENHANCE":          func(w io.Writer, _ int, s uint32) bool { resetStream(w, s, 11); return false },
		"GOAWAY processed": func(w io.Writer, _ int, s uint32) bool { goAway(w, s, 0); return true },
		"GOAWAY error":     func(w io.Writer, _ int, s uint32) bool { goAway(w, s, 2); return true },
		"hang up":          func(io.Writer, int, uint32) bool { return true },
	} {
		base, opt, n := h2(t, end)
		err := orderClient(t, base, opt).Push(within(t, 3*time.Second), "id-1", "PD")
		if got := n.Load(); got != 1 {
			t.Errorf("%s: the push was sent %d times", name, got)
		}
		if d, ok := delivery(err); !ok || d != commerce.DeliveryUnknown {
			t.Errorf("%s: delivery %q: %v", name, d, err)
		}
	}
}

// golang/go#22158, Adyen/adyen-go-api-library#125: a connection that was used before and is closed by the server once
// it has read the push.
func TestGo22158KeepAliveEOF(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var pushes, gets atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if req.Method == http.MethodPost {
						pushes.Add(1)
						return
					}
					gets.Add(1)
					body := orderJSON("id-1", "PF", "2026-11-21T02:00:00Z")
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
						len(body), body)
				}
			}()
		}
	}()
	c := orderClient(t, "http://"+l.Addr().String())
	if _, err := c.Order(within(t, 5*time.Second), "id-1"); err != nil {
		t.Fatal(err)
	}
	err = c.Push(within(t, 5*time.Second), "id-1", "PD")
	if d, ok := delivery(err); !ok || d != commerce.DeliveryUnknown || pushes.Load() != 1 {
		t.Errorf("delivery %q after %d sendings: %v", d, pushes.Load(), err)
	}
}

// urllib3/urllib3#2861, getsentry/sentry#7919, opensearch-project/data-prepper#6927: seconds with a fraction.
func TestUrllib2861FractionalRetryAfter(t *testing.T) {
	for v, least := range map[string]time.Duration{"299.997": 299 * time.Second,
		"0.5": 500 * time.Millisecond, "2.0": 2 * time.Second} {
		if got := retryAfterOf(t, map[string]string{"Retry-After": v}); got < least || got > least+2*time.Second {
			t.Errorf("Retry-After %s is read as %s", v, got)
		}
	}
}

// QVerisAI/qveris-agent-toolkit#142: the forms of the header that are right, and nonsense.
func TestQveris142RetryAfterForms(t *testing.T) {
	for v, right := range map[string]time.Duration{"-5": 0, "0": 0, " 7 ": 7 * time.Second, "120": 2 * time.Minute,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0} {
		if got := retryAfterOf(t, map[string]string{"Retry-After": v}); got != right {
			t.Errorf("%q: %s", v, got)
		}
	}
	if got := retryAfterOf(t, map[string]string{"Retry-After": "99999999999999999999"}); got < 24*time.Hour {
		t.Errorf("huge: %s", got)
	}
}

// grafana/mimir#8815, grpc-ecosystem/grpc-gateway#2707: an answer from something on the way proves nothing about what
// is behind it.
func TestMimir8815StatusesThatProveNothing(t *testing.T) {
	for _, status := range []int{302, 303, 408, 460, 499, 500, 502, 503, 504, 520, 522, 524, 529} {
		base, n := answers(t, status, map[string]string{"Location": "/login"}, "<html>gateway</html>")
		err := orderClient(t, base).Push(within(t, 5*time.Second), "id-1", "PD")
		if d, ok := delivery(err); !ok || d != commerce.DeliveryUnknown {
			t.Errorf("%d: delivery %q", status, d)
		}
		if n.Load() != 1 {
			t.Errorf("%d: sent %d times", status, n.Load())
		}
	}
}

// Statuses that say no.
func TestExtraStatusesThatSayNo(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 415, 422, 429} {
		base, n := answers(t, status, nil, `{"error":"APS::Hosting::Exception","message":"no"}`)
		err := orderClient(t, base).Push(within(t, 5*time.Second), "id-1", "PD")
		if d, ok := delivery(err); !ok || d != commerce.DeliveryRefused || n.Load() != 1 {
			t.Errorf("%d: delivery %q, sent %d times", status, d, n.Load())
		}
	}
}

// planetscale/cli#1305: a redirect to another host must not carry the token there.
func TestPlanetscale1305Redirect(t *testing.T) {
	var leaked atomic.Value
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { leaked.Store(fmt.Sprint(r.Header)) })
	for _, status := range []int{301, 302, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+r.URL.Path, status) })
		c := orderClient(t, s.URL, ordermanager.WithMaxTries(1))
		_, _ = c.Order(within(t, 5*time.Second), "id-1")
		_ = c.Push(within(t, 5*time.Second), "id-1", "PD")
	}
	if v := leaked.Load(); v != nil {
		t.Errorf("the other host was called: %v", v)
	}
}

// LayerXcom/freee-go#55, Azure/go-autorest#240: many calls that find the token expired lead to one new token.
func TestFreee55TokenRace(t *testing.T) {
	var fetched, calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("APS-Token") != "token-number-2" {
			select { // keep the other callers waiting for a while
			case <-time.After(5 * time.Millisecond):
			case <-r.Context().Done():
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, orderJSON("id-1", "PF", "2026-11-21T02:00:00Z"))
	})
	c, err := ordermanager.New(s.URL, ordermanager.TokenFunc(func(context.Context) (string, error) {
		return fmt.Sprintf("token-number-%d", fetched.Add(1)), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var bad atomic.Int32
	for range 50 {
		wg.Go(func() {
			if _, err := c.Order(within(t, 10*time.Second), "id-1"); err != nil {
				bad.Add(1)
			}
		})
	}
	wg.Wait()
	if fetched.Load() != 2 || bad.Load() != 0 {
		t.Errorf("%d tokens, %d failures", fetched.Load(), bad.Load())
	}
}

// A context that ends while a call waits ends the call.
func TestExtraCancelWhileWaiting(t *testing.T) {
	base, n := answers(t, 503, map[string]string{"Retry-After": "20"}, "")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := orderClient(t, base).Order(ctx, "id-1")
	if took := time.Since(began); took > 2*time.Second || !errors.Is(err, context.DeadlineExceeded) || n.Load() != 1 {
		t.Errorf("%s, %d calls, %v", took, n.Load(), err)
	}
}

// NetApp/trident#1139: a body is sent again as a whole when a read by POST is tried again.
func TestTrident1139Rewind(t *testing.T) {
	t.Parallel()
	var bodies []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		if len(bodies) < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, xmlHead+row(1000027, "PF", "<string/>"))
	})
	if _, err := billingClient(t, s.URL).Row(within(t, 20*time.Second), "1000027"); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 3 || bodies[0] == "" || bodies[1] != bodies[0] || bodies[2] != bodies[0] {
		t.Errorf("%q", bodies)
	}
}

// Base URLs as people write them.
func TestExtraBaseURLs(t *testing.T) {
	for _, u := range []string{"https://[::1]:8443", "https://h.example.net/a/b/", "HTTPS://h.example.net",
		"https://h.example.net:6308"} {
		if _, err := ordermanager.New(u, ordermanager.Token("12345678")); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"h.example.net", "//h.example.net", "https://u:p@h.example.net",
		"https://h.example.net?x=1", "https://"} {
		if _, err := ordermanager.New(u, ordermanager.Token("12345678")); err == nil {
			t.Errorf("%s was taken", u)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%v", err)
		}
	}
}

// hashicorp/go-retryablehttp#82: a call that gets a huge or endless body ends.
func TestRetryablehttp82EndlessBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<16))
		for range 2000 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := orderClient(t, s.URL, ordermanager.WithMaxBody(1<<20)).Order(within(t, 10*time.Second),
		"id-1"); err == nil {
		t.Error("no error")
	}
}

// Connect behind a page that says 200.
func TestExtraPageInsteadOfJSON(t *testing.T) {
	base, _ := answers(t, 200, map[string]string{"Content-Type": "text/html; charset=iso-8859-1"},
		"<html>maintenance</html>")
	c, err := connect.New(base, connect.APIKey("SU-000-000-000:key12345678"), connect.WithMaxTries(1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Request(within(t, 5*time.Second), "PR-1")
	if !errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// hashicorp/nomad#1769, lokalise/lokalise-cli-2-go#27, crowdin/crowdin-api-client-go#71: an empty map comes as an
// empty list. One
// such order must not end the list of all.
func TestNomad1769EmptyMaps(t *testing.T) {
	for name, body := range map[string]string{
		"errorDetails":         `{"orderId":"id-1","status":"PF","errorDetails":[]}`,
		"possiblePushToStatus": `{"orderId":"id-1","status":"PF","possiblePushToStatus":[]}`,
	} {
		base, _ := answers(t, 200, nil, body)
		if o, err := orderClient(t, base).Order(within(t, 5*time.Second), "id-1"); err != nil || o.Status != "PF" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hub4j/github-api#1805: 403 that means too fast (it says how long), not forbidden.
func TestHub4j1805ForbiddenWithRetryAfter(t *testing.T) {
	base, n := answers(t, 403, map[string]string{"Retry-After": "30"}, `{"message":"secondary rate limit"}`)
	err := orderClient(t, base).Push(within(t, 5*time.Second), "id-1", "PD")
	e, ok := asCommerce(err)
	if !ok || e.RetryAfter != 30*time.Second || n.Load() != 1 {
		t.Errorf("%v", err)
	}
}
