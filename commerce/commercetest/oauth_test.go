package commercetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
)

const vectorQuery, vectorSignature = "like(orderNumber,*CL000058)", "Zdx5SoEfNg6aoXvZguHO+h6TpxI="

// signedBy is the header of the known signatures, with some parameters changed or, with "", omitted.
func signedBy(signature string, changes map[string]string) string {
	header := "OAuth "
	for i, p := range [][2]string{
		{"oauth_consumer_key", "key"}, {"oauth_nonce", "abc"}, {"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "1700000000"}, {"oauth_version", "1.0"}, {"oauth_signature", signature},
	} {
		value := p[1]
		if other, ok := changes[p[0]]; ok {
			value = other
		}
		if value == "" {
			continue
		}
		if i > 0 {
			header += ","
		}
		header += fmt.Sprintf(`%s="%s"`, p[0], url.QueryEscape(value))
	}
	return header
}

func consumerSystem(t testing.TB, at int64) *commercetest.System {
	t.Helper()
	sys, err := commercetest.New(commercetest.Config{
		ConsumerKey: "key", ConsumerSecret: "sec", Now: func() time.Time { return time.Unix(at, 0) },
	})
	require.NoError(t, err)
	return sys
}

// ask reads the list with the host of the known signatures.
func ask(t testing.TB, sys *commercetest.System, query, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/aps/2/services/order-manager/orders", nil)
	r.Host, r.URL.RawQuery = "host", query
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	sys.ServeHTTP(w, r)
	return w
}

// The vectors of commerce/WIRE.md#2.2.
func TestOAuthAcceptsKnownSignatures(t *testing.T) {
	t.Parallel()
	for query, signature := range map[string]string{
		vectorQuery: vectorSignature,
		"in(status,(PF,LO)),sort(-orderDate),limit(0,100)": "jpg7nfal0cZk0FowNYzzpO5XZsE=",
		"eq(a,b%20c)&ge(orderDate,2026-11-01T00:00:00Z)":   "BkQZjheJd6tvgJ/BDrUqoy2mPjo=",
		"like(x,a%2Cb)": "f/46oTXIJnVQW6OV1/6wAr0BJjk=",
		"in(status,(PF,LO)),sort(-orderDate),limit(0%2C100)": "jpg7nfal0cZk0FowNYzzpO5XZsE=",
		"ge(orderDate,2026-11-01T00%3A00%3A00Z)&eq(a,b%20c)": "BkQZjheJd6tvgJ/BDrUqoy2mPjo=",
		"%65q(a,b+c)&&ge(orderDate,2026-11-01T00:00:00Z)":    "BkQZjheJd6tvgJ/BDrUqoy2mPjo=",
	} {
		w := ask(t, consumerSystem(t, 1700000000), query, signedBy(signature, nil))
		require.NotEqual(t, http.StatusUnauthorized, w.Code, "%s: %s", query, w.Body)
		require.Equal(t, "true", w.Header().Get("X-APSBooster-Response"))
	}
}

func TestOAuthRejectsOtherRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query  string
		change map[string]string
		says   string
	}{
		"another query":  {"like(orderNumber,*CL000059)", nil, "oauth_signature is not valid"},
		"no query":       {"", nil, "oauth_signature is not valid"},
		"a broken query": {"%zz", nil, "not percent-encoded"},
		"another nonce":  {vectorQuery, map[string]string{"oauth_nonce": "abd"}, "oauth_signature is not valid"},
		"another time": {vectorQuery, map[string]string{"oauth_timestamp": "1700000001"},
			"oauth_signature is not valid"},
		"no version":        {vectorQuery, map[string]string{"oauth_version": ""}, "oauth_signature is not valid"},
		"another key":       {vectorQuery, map[string]string{"oauth_consumer_key": "kez"}, "oauth_consumer_key is not known"},
		"another signature": {vectorQuery, map[string]string{"oauth_signature": "AAAA"}, "oauth_signature is not valid"},
		"not base64":        {vectorQuery, map[string]string{"oauth_signature": "?"}, "not base64"},
		"another method":    {vectorQuery, map[string]string{"oauth_signature_method": "PLAINTEXT"}, "must be HMAC-SHA1"},
		"another version":   {vectorQuery, map[string]string{"oauth_version": "2.0"}, "must be 1.0"},
		"no time":           {vectorQuery, map[string]string{"oauth_timestamp": "soon"}, "seconds since 1970"},
		"no signature":      {vectorQuery, map[string]string{"oauth_signature": ""}, "oauth_signature is missing"},
		"no nonce":          {vectorQuery, map[string]string{"oauth_nonce": ""}, "oauth_nonce is missing"},
	} {
		sys := consumerSystem(t, 1700000000)
		w := ask(t, sys, test.query, signedBy(vectorSignature, test.change))
		require.Equal(t, http.StatusUnauthorized, w.Code, name)
		require.Contains(t, w.Body.String(), test.says, name)
		require.NotContains(t, w.Body.String(), "sec\"", name)
		require.NotContains(t, w.Body.String(), vectorSignature, name)
		require.Equal(t, "true", w.Header().Get("X-APSBooster-Response"), name)
	}
	for header, says := range map[string]string{
		"OAuth":              "is not a list",
		"OAuth a":            "is not a list",
		`OAuth a="`:          "is not a list",
		`OAuth a=b`:          "is not a list",
		`OAuth a="1",a="2"`:  "twice",
		`OAuth a="%zz"`:      "not percent-encoded",
		`OAuth %zz="a"`:      "not percent-encoded",
		`oauth realm="here"`: "oauth_consumer_key is missing",
	} {
		w := ask(t, consumerSystem(t, 1700000000), vectorQuery, header)
		require.Equal(t, http.StatusUnauthorized, w.Code, header)
		require.Contains(t, w.Body.String(), says, header)
	}
}

func TestOAuthNonceAndTimestamp(t *testing.T) {
	t.Parallel()
	sys := consumerSystem(t, 1700000000+300)
	require.Equal(t, http.StatusUnauthorized, ask(t, sys, "", signedBy(vectorSignature, nil)).Code,
		"a wrong signature does not use up its nonce")
	require.Equal(t, http.StatusOK, ask(t, sys, vectorQuery, signedBy(vectorSignature, nil)).Code)
	again := ask(t, sys, vectorQuery, signedBy(vectorSignature, nil))
	require.Equal(t, http.StatusUnauthorized, again.Code)
	require.Contains(t, again.Body.String(), "oauth_nonce was used before")

	for _, at := range []int64{1700000000 + 301, 1700000000 - 301} {
		far := ask(t, consumerSystem(t, at), vectorQuery, signedBy(vectorSignature, nil))
		require.Equal(t, http.StatusUnauthorized, far.Code)
		require.Contains(t, far.Body.String(), "more than 5m0s away")
	}
	anyTime := newSystem(t, commercetest.Config{ConsumerKey: "key", ConsumerSecret: "sec", OAuthSkew: -1})
	require.Equal(t, http.StatusOK, ask(t, anyTime, vectorQuery, signedBy(vectorSignature, nil)).Code)
	require.Equal(t, http.StatusUnauthorized, ask(t, anyTime, vectorQuery, signedBy(vectorSignature, nil)).Code)
}

func TestOAuthWithoutConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	res, body := r.send(http.MethodGet, orders, "", map[string]string{"Authorization": signedBy(vectorSignature, nil),
		"APS-Token": commercetest.DefaultToken})
	require.Equal(t, http.StatusUnauthorized, res.Status)
	require.Contains(t, body, "no OAuth consumer")
}

func TestOAuthClientListsAndPushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) {
		c.ConsumerKey, c.ConsumerSecret, c.OAuthSkew = "key", "s&c/ret%", -1 // the clock of the rig is in the past
	})
	o := r.failed(commercetest.OrderSpec{CustomerName: "Zażółć & Söhne (EU)"})
	c, err := ordermanager.New(strings.ToUpper(r.base[:7])+r.base[7:], ordermanager.OAuth1("key", "s&c/ret%"))
	require.NoError(t, err)
	for found, err := range c.Orders(t.Context(), commerce.FailedOrdersView().Query()) {
		require.NoError(t, err)
		require.Equal(t, o.Number, found.Number)
	}
	require.NoError(t, c.Push(t.Context(), o.ID, commerce.StatusPaid))
	require.Equal(t, 1, r.order(o.ID).Pushes)
	wrong, err := ordermanager.New(r.base, ordermanager.OAuth1("key", "wrong"))
	require.NoError(t, err)
	_, err = wrong.Order(t.Context(), o.ID)
	require.ErrorIs(t, err, commerce.ErrUnauthorized)
}

func FuzzOAuthHeader(f *testing.F) {
	f.Add(strings.TrimPrefix(signedBy(vectorSignature, nil), "OAuth "), "eq(a,b)")
	f.Add(`a="%zz",b=`, "%zz&+=")
	sys := consumerSystem(f, 1700000000)
	f.Fuzz(func(t *testing.T, header, query string) {
		w := ask(t, sys, query, "OAuth "+header)
		if w.Code == http.StatusUnauthorized {
			require.Contains(t, w.Body.String(), `"error":"Unauthorized"`)
			return
		}
		require.Contains(t, header, "oauth_signature")
	})
}
