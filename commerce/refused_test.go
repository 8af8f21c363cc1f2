package commerce_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
)

// answering answers pushes with a status and a body, reads well, and counts pushes.
func answering(t *testing.T, k kind, status int, body string) (url string, pushes *atomic.Int32) {
	t.Helper()
	pushes = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet || strings.Contains(string(sent), "GetOrder_API") {
			_, _ = io.WriteString(w, k.answer)
			return
		}
		pushes.Add(1)
		w.Header().Set("Location", "/login")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, pushes
}

func deliveryOf(t *testing.T, err error) commerce.Delivery {
	t.Helper()
	return clientkit.CommerceError(t, err).Delivery
}

const (
	emptyBody    = ""
	htmlBody     = "<html>gateway</html>"
	textBody     = "upstream connect error"
	otherJSON    = `{"requestId":"17"}`
	apsError     = `{"error":"APS::Hosting::Exception","message":"no"}`
	apiError     = `{"code":"ERR","message":"no"}`
	faultTheBody = `<?xml version="1.0"?><methodResponse><fault><value><struct>` +
		`<member><name>faultCode</name><value><int>42</int></value></member>` +
		`<member><name>faultString</name><value>the transition is not allowed</value></member>` +
		`</struct></value></fault></methodResponse>`
)

// ownError is how an API says no.
var ownError = map[string]string{"ordermanager": apsError, "simpleapi": apiError, "billing": faultTheBody}

// grafana/mimir#8815, grpc-ecosystem/grpc-gateway#2707, mardiros/aioxmlrpc#16.
func TestDelivery(t *testing.T) {
	t.Parallel()
	foreign := []string{emptyBody, htmlBody, textBody, otherJSON}
	for _, k := range kinds() {
		check := func(status int, body string, want commerce.Delivery) {
			t.Run(fmt.Sprintf("%s/%d %.12s is %s", k.name, status, body, want), func(t *testing.T) {
				t.Parallel()
				url, pushes := answering(t, k, status, body)
				c, err := k.make(url, &http.Client{}, 30*time.Second)
				require.NoError(t, err)
				err = c.Push(t.Context(), orderID, "PD")
				require.Equal(t, want, deliveryOf(t, err), "%v", err)
				require.Equal(t, want == commerce.DeliveryUnknown, clientkit.CommerceError(t, err).Gateway())
				require.EqualValues(t, 1, pushes.Load())
			})
		}
		check(200, htmlBody, commerce.DeliveryUnknown)
		for _, status := range []int{400, 403, 404, 405, 409, 413, 415, 422} {
			check(status, ownError[k.name], commerce.DeliveryRefused)
			for _, body := range foreign {
				check(status, body, commerce.DeliveryUnknown)
			}
		}
		for _, status := range []int{401, 429} {
			for _, body := range append(foreign, ownError[k.name]) {
				check(status, body, commerce.DeliveryRefused)
			}
		}
		for _, status := range []int{
			300, 301, 302, 303, 307, 308, 402, 406, 407, 408, 410, 412, 418, 421, 423, 425, 428, 431, 444, 451, 460, 499,
			500, 501, 502, 503, 504, 520, 524, 529, 599,
		} {
			for _, body := range foreign {
				check(status, body, commerce.DeliveryUnknown)
			}
			if k.name == "billing" {
				check(status, faultTheBody, commerce.DeliveryRefused)
			} else {
				check(status, ownError[k.name], commerce.DeliveryUnknown)
			}
		}
	}
}

func TestDeliveryOptions(t *testing.T) {
	t.Parallel()
	const teapot = http.StatusTeapot
	refused := func(status int, header http.Header, body []byte) bool {
		return status == teapot && header.Get("Location") != "" && string(body) == textBody
	}
	clients := map[string]func(url string, on bool) (pusher, error){
		"ordermanager": func(url string, on bool) (pusher, error) {
			opts := optional(on, ordermanager.WithRefusals(refused))
			return ordermanager.New(url, ordermanager.Token("a-token-of-the-test"), opts...)
		},
		"billing": func(url string, on bool) (pusher, error) {
			opts := append(optional(on, billing.WithRefusals(refused)), billing.WithDefaultCurrency("EUR"))
			return billing.New(url, billing.NoLogin(), opts...)
		},
		"simpleapi": func(url string, on bool) (pusher, error) {
			opts := optional(on, simpleapi.WithRefusals(refused))
			return simpleapi.New(url, simpleapi.Token("key-of-the-test", "token-of-the-test"), opts...)
		},
	}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for on, want := range map[bool]commerce.Delivery{false: commerce.DeliveryUnknown, true: commerce.DeliveryRefused} {
				url, _ := answering(t, k, teapot, textBody)
				c, err := clients[k.name](url, on)
				require.NoError(t, err)
				require.Equal(t, want, deliveryOf(t, c.Push(t.Context(), orderID, "PD")))
			}
			url, _ := answering(t, k, http.StatusUnauthorized, textBody)
			c, err := clients[k.name](url, true)
			require.NoError(t, err)
			err = c.Push(t.Context(), orderID, "PD")
			require.Equal(t, commerce.DeliveryUnknown, deliveryOf(t, err), "the default no longer holds")
		})
	}
	const base = "https://h.example"
	_, err := ordermanager.New(base, ordermanager.Token("a-token"), ordermanager.WithRefusals(nil))
	require.ErrorContains(t, err, "WithRefusals: the function is nil")
	_, err = billing.New(base, billing.NoLogin(), billing.WithRefusals(nil))
	require.ErrorContains(t, err, "WithRefusals: the function is nil")
	_, err = simpleapi.New(base, simpleapi.Token("key", "token"), simpleapi.WithRefusals(nil))
	require.ErrorContains(t, err, "WithRefusals: the function is nil")
}

func optional[Option any](on bool, o Option) []Option {
	if on {
		return []Option{o}
	}
	return nil
}

// A fault with the status 500 comes from Billing itself.
func TestFaultWithStatus500(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, faultTheBody)
	}))
	t.Cleanup(server.Close)
	c, err := billing.New(server.URL, billing.NoLogin(), billing.WithMaxWait(time.Millisecond))
	require.NoError(t, err)
	_, err = c.Row(t.Context(), orderID)
	f, ok := errors.AsType[*commerce.Fault](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 42, f.Code)
	require.EqualValues(t, 1, calls.Load(), "a fault is not tried again")
	require.NotErrorIs(t, err, commerce.ErrUnavailable)
	e, _ := errors.AsType[*commerce.Error](err)
	require.Equal(t, http.StatusInternalServerError, e.HTTPStatus)
	require.True(t, e.NotOffered())

	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, faultTheBody)
	}))
	t.Cleanup(busy.Close)
	c, err = billing.New(busy.URL, billing.NoLogin(), billing.WithMaxTries(1))
	require.NoError(t, err)
	_, err = c.Row(t.Context(), orderID)
	e, _ = errors.AsType[*commerce.Error](err)
	require.Equal(t, 7*time.Second, e.RetryAfter)
	require.False(t, e.NotOffered(), "a busy server says nothing about transitions")

	calls.Store(0)
	token, err := ordermanager.UserToken(server.URL, 1, ordermanager.WithMaxWait(time.Millisecond))
	require.NoError(t, err)
	_, err = token(t.Context())
	require.ErrorContains(t, err, "fault 42: the transition is not allowed")
	require.Equal(t, commerce.DeliveryRefused, deliveryOf(t, err))
	require.EqualValues(t, 1, calls.Load())
}

// A push that is answered 401 renews the token, and is not sent again by the client.
func TestPushAnswered401(t *testing.T) {
	t.Parallel()
	var tokens, pushes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pushes.Add(1)
		if r.Header.Get("APS-Token") != "token-number-2" && r.Header.Get("Authorization") != "Bearer token-number-2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	next := func() string { return fmt.Sprintf("token-number-%d", tokens.Add(1)) }
	om, err := ordermanager.New(server.URL, ordermanager.TokenFunc(func(context.Context) (string, error) {
		return next(), nil
	}))
	require.NoError(t, err)
	bearer := func(context.Context) (string, time.Duration, error) { return next(), 0, nil }
	sa, err := simpleapi.New(server.URL, simpleapi.TokenFunc("key-of-the-test", bearer))
	require.NoError(t, err)
	for _, c := range []pusher{om, sa} {
		tokens.Store(0)
		pushes.Store(0)
		err = c.Push(t.Context(), orderID, "PD")
		require.ErrorIs(t, err, commerce.ErrUnauthorized)
		require.Equal(t, commerce.DeliveryRefused, deliveryOf(t, err))
		require.EqualValues(t, 1, pushes.Load())
		require.EqualValues(t, 2, tokens.Load())
		require.NoError(t, c.Push(t.Context(), orderID, "PD"))
		require.EqualValues(t, 2, pushes.Load())
		require.EqualValues(t, 2, tokens.Load())
	}
}
