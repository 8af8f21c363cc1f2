package ordermanager_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/internal/testkit/tlstest"
)

var oauthHeader = regexp.MustCompile(
	`^OAuth oauth_consumer_key="key",oauth_signature_method="HMAC-SHA1",oauth_timestamp="(\d+)",` +
		`oauth_nonce="([A-Z2-7]{26})",oauth_version="1.0",oauth_signature="(\S+)"$`)

// signed reports whether the signature of a request is that of the secret "sec",
// for a query that is one parameter without "=". plus is what a plus in it counts as.
func signed(t *testing.T, r *http.Request, plus string) bool {
	t.Helper()
	m := oauthHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	require.NotNil(t, m, r.Header.Get("Authorization"))
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	query, err := url.PathUnescape(strings.ReplaceAll(r.URL.RawQuery, "+", plus))
	require.NoError(t, err)
	params := fmt.Sprintf(
		"oauth_consumer_key=key&oauth_nonce=%s&oauth_signature_method=HMAC-SHA1&oauth_timestamp=%s&oauth_version=1.0", m[2],
		m[1])
	if query != "" {
		params = escape(query) + "=&" + params
	}
	mac := hmac.New(sha1.New, []byte("sec&"))
	_, err = io.WriteString(mac, r.Method+"&"+escape(base+r.URL.Path)+"&"+escape(params))
	require.NoError(t, err)
	return escape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) == m[3]
}

func TestOAuth1SignsListsReadsAndPushes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		opts []ordermanager.Option
		plus string
	}{
		{"a plus is a space", nil, " "},
		{"a plus is a plus", []ordermanager.Option{ordermanager.WithLiteralPlus()}, "%2B"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
				calls++
				require.Empty(t, r.Header.Get("APS-Token"))
				require.True(t, signed(t, r, tc.plus), "%s %s", r.Method, r.URL)
				if r.URL.RawQuery != "" {
					return httpmock.NewStringResponse(200, `[]`), nil
				}
				return httpmock.NewStringResponse(200, `{"orderId":"1"}`), nil
			})
			opts := append(tc.opts, ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
			c, err := ordermanager.New(base, ordermanager.OAuth1("key", "sec"), opts...)
			require.NoError(t, err)
			_, err = collect(t.Context(), c, commerce.Query{Statuses: []commerce.Status{"PF", "LO"}, NumberLike: "*CL 58"})
			require.NoError(t, err)
			_, err = c.Order(t.Context(), "1")
			require.NoError(t, err)
			require.NoError(t, c.Push(t.Context(), "1", commerce.StatusPaid))
			require.Equal(t, 3, calls)
		})
	}
}

func TestOAuth1SignsEachTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
			require.True(t, signed(t, r, " "))
			m := oauthHeader.FindStringSubmatch(r.Header.Get("Authorization"))
			require.Equal(t, fmt.Sprint(time.Now().Unix()), m[1])
			seen[m[2]] = true
			return httpmock.NewStringResponse(503, ""), nil
		})
		c, err := ordermanager.New(base, ordermanager.OAuth1("key", "sec"),
			ordermanager.WithHTTPClient(&http.Client{Transport: mock}), ordermanager.WithMaxTries(5))
		require.NoError(t, err)
		_, err = c.Order(t.Context(), "1")
		require.ErrorIs(t, err, commerce.ErrUnavailable)
		require.Len(t, seen, 5)
	})
}

func TestOAuth1ErrorsSayWhatToCheck(t *testing.T) {
	t.Parallel()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(401, `{"error":"Unauthorized"}`))
	c, err := ordermanager.New(base, ordermanager.OAuth1("key", "sec"),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	require.NoError(t, err)
	for _, call := range []func() error{
		func() error { _, err := c.Order(t.Context(), "1"); return err },
		func() error { return c.Push(t.Context(), "1", commerce.StatusPaid) },
	} {
		err := call()
		require.ErrorIs(t, err, commerce.ErrUnauthorized)
		require.ErrorContains(t, err, "the signature was refused: check consumer key and secret, this machine's clock")
		require.Equal(t, commerce.DeliveryRefused, commerceError(t, err).Delivery)
	}
	require.Equal(t, 2, mock.GetTotalCallCount(), "there is nothing to renew")
}

func TestNewRejectsConflictingOptions(t *testing.T) {
	t.Parallel()
	token, oauth := ordermanager.Token("t"), ordermanager.OAuth1("key", "sec")
	for _, tc := range []struct {
		name string
		auth ordermanager.Auth
		opts []ordermanager.Option
		want string
	}{
		{"an empty consumer key", ordermanager.OAuth1("", "sec"), nil, "the consumer key is empty"},
		{"a consumer secret with a line break", ordermanager.OAuth1("key", "hunter2\n"), nil,
			"the consumer secret has a space, a control character"},
		{"a literal plus without signature", token, []ordermanager.Option{ordermanager.WithLiteralPlus()},
			"WithLiteralPlus is for OAuth1 only"},
		{"a password", oauth, []ordermanager.Option{ordermanager.WithOperationsLogin("a", "hunter2")},
			"WithOperationsLogin is for UserToken"},
		{"no TLS settings", token, []ordermanager.Option{ordermanager.WithTLSConfig(nil)}, "the TLS settings are nil"},
		{"no TLS files", token, []ordermanager.Option{ordermanager.WithTLSFiles("", "", "")}, "no TLS file is named"},
		{"no verification", token, []ordermanager.Option{ordermanager.WithTLSConfig(&tls.Config{InsecureSkipVerify: true})},
			"InsecureSkipVerify would send the credentials to any server"},
		{"TLS settings and a transport", token, []ordermanager.Option{
			ordermanager.WithTLSConfig(&tls.Config{}),
			ordermanager.WithHTTPClient(&http.Client{Transport: http.DefaultTransport}),
		}, "set them in that transport"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := ordermanager.New(base, tc.auth, tc.opts...)
			require.ErrorContains(t, err, "ordermanager: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// Both servers are signed by a private authority and demand a certificate of it.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	serve := func(handler http.HandlerFunc) string {
		server := httptest.NewUnstartedServer(handler)
		server.TLS = ca.Server()
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about handshakes, rightly
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	tokens := serve(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, golden(t, "get_user_token.xml"))
	})
	pushes := 0
	orders := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("APS-Token") != apsToken {
			w.WriteHeader(http.StatusUnauthorized)
		}
		if r.Method == http.MethodPost {
			pushes++
		}
		_, _ = io.WriteString(w, `{"orderId":"1"}`)
	})
	files := ordermanager.WithTLSFiles(ca.Client("operator"))
	fetch, err := ordermanager.UserToken(tokens, 1, files)
	require.NoError(t, err)
	c, err := ordermanager.New(orders, ordermanager.TokenFunc(fetch), files)
	require.NoError(t, err)
	require.NoError(t, c.Push(t.Context(), "1", commerce.StatusPaid))
	require.Equal(t, 1, pushes)

	// A stranger gets neither a token nor an order, and knows that nothing was done.
	stranger := ordermanager.WithTLSFiles(tlstest.New(t).Client("stranger"))
	c, err = ordermanager.New(orders, ordermanager.TokenFunc(fetch), stranger)
	require.NoError(t, err)
	err = c.Push(t.Context(), "1", commerce.StatusPaid)
	require.ErrorContains(t, err, "name the authority that signed the server's certificate in the TLS settings")
	require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	fetch, err = ordermanager.UserToken(tokens, 1, stranger)
	require.NoError(t, err)
	_, err = fetch(t.Context())
	require.ErrorContains(t, err, "name the authority that signed the server's certificate in the TLS settings")
	require.Equal(t, 1, pushes)
}

func ExampleOAuth1() {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		fmt.Println(r.URL)
		fmt.Println(strings.Split(r.Header.Get("Authorization"), ",")[:2])
		return httpmock.NewStringResponse(200, `[]`), nil
	})
	client, err := ordermanager.New("https://brand.example.net", ordermanager.OAuth1("consumer-key", "consumer-secret"),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, err := range client.Orders(context.Background(),
		commerce.Query{Statuses: []commerce.Status{commerce.StatusProvisioningFailed}}) {
		fmt.Println(err)
	}
	// Output:
	// https://brand.example.net/aps/2/services/order-manager/orders?in(status,(PF)),sort(+orderDate,+internalId),limit(0,100)
	// [OAuth oauth_consumer_key="consumer-key" oauth_signature_method="HMAC-SHA1"]
}
