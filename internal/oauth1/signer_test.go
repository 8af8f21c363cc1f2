package oauth1_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/oauth1"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

var _ rest.Auth = (*oauth1.Signer)(nil)

func signer(t testing.TB, key, secret string) *oauth1.Signer {
	t.Helper()
	s, err := oauth1.New(key, secret)
	require.NoError(t, err)
	return s
}

func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	require.NoError(t, err)
	return r
}

// members reads an Authorization header in the form of the vendor's sample.
func members(t testing.TB, header string) map[string]string {
	t.Helper()
	list, ok := strings.CutPrefix(header, "OAuth ")
	require.True(t, ok, header)
	m := map[string]string{}
	for part := range strings.SplitSeq(list, ",") {
		name, quoted, _ := strings.Cut(part, "=")
		value, err := url.PathUnescape(strings.Trim(quoted, `"`))
		require.NoError(t, err)
		require.NotContains(t, m, name)
		m[name] = value
	}
	return m
}

func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors []struct {
		Name, Method, URL, ConsumerKey, ConsumerSecret, Nonce, Signature string
		Timestamp                                                        int64
	}
	require.NoError(t, json.Unmarshal(content, &vectors))
	require.Greater(t, len(vectors), 20)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			r := request(t, v.Method, v.URL)
			require.NoError(t, signer(t, v.ConsumerKey, v.ConsumerSecret).SignAt(r, v.Nonce, time.Unix(v.Timestamp, 0)))
			require.Equal(t, map[string]string{
				"oauth_consumer_key": v.ConsumerKey, "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0",
				"oauth_timestamp": fmt.Sprint(v.Timestamp), "oauth_nonce": v.Nonce, "oauth_signature": v.Signature,
			}, members(t, r.Header.Get("Authorization")))
		})
	}
}

func TestHeaderFormat(t *testing.T) {
	t.Parallel()
	r := request(t, "GET", "https://host/aps/2/services/order-manager/orders?like(orderNumber,*CL000058)")
	require.NoError(t, signer(t, "key", "sec").SignAt(r, "abc", time.Unix(1700000000, 0)))
	require.Equal(t, `OAuth oauth_consumer_key="key",oauth_signature_method="HMAC-SHA1",oauth_timestamp="1700000000",`+
		`oauth_nonce="abc",oauth_version="1.0",oauth_signature="Zdx5SoEfNg6aoXvZguHO%2Bh6TpxI%3D"`,
		r.Header.Get("Authorization"))
}

func TestWithLiteralPlus(t *testing.T) {
	t.Parallel()
	literal := signer(t, "key", "sec").WithLiteralPlus()
	written, err := literal.BaseString(request(t, "GET", "https://host/x?sort(+orderDate)"))
	require.NoError(t, err)
	escaped, err := literal.BaseString(request(t, "GET", "https://host/x?sort(%2BorderDate)"))
	require.NoError(t, err)
	require.Equal(t, escaped, written)
	require.Contains(t, written, "%252B")
}

// received computes the signature of a request as its server got it, with the
// means of net/url.
func received(t testing.TB, r *http.Request, secret string) string {
	t.Helper()
	auth := members(t, r.Header.Get("Authorization"))
	delete(auth, "oauth_signature")
	path, query, _ := strings.Cut(r.RequestURI, "?")
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	for name, value := range auth {
		values.Add(name, value)
	}
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var pairs []string
	for name, list := range values {
		for _, value := range list {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	slices.Sort(pairs) // no name here is the start of another one
	base := r.Method + "&" + escape("http://"+r.Host+path) + "&" + escape(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(escape(secret)+"&"))
	_, err = io.WriteString(mac, base)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestSignatureMatchesTheReceivedRequest(t *testing.T) {
	t.Parallel()
	type verdict struct{ got, want, nonce string }
	verdicts := make(chan verdict, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := members(t, r.Header.Get("Authorization"))
		verdicts <- verdict{auth["oauth_signature"], received(t, r, "s&c"), auth["oauth_nonce"]}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	client, err := rest.New(rest.Config{BaseURL: server.URL + "/a%2Fb/", Auth: signer(t, "key", "s&c"),
		HTTP: server.Client()})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, query := range []string{
		"", "in(status,(PF,LO)),sort(+orderDate),limit(0,100)", "eq(a,%C5%BC%2c%26%3D)&ge(b,2026-11-01T00:00:00Z)",
		"&a=b=c&&a",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			resp, err := client.Do(t.Context(), rest.Request{
				Op: "x", Method: method, Path: "orders/1%20(2)/", RawQuery: query, Safety: rest.Read, Body: []byte("{}"),
			})
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			v := <-verdicts
			require.Equal(t, v.want, v.got, "%s %s", method, query)
			require.False(t, seen[v.nonce])
			seen[v.nonce] = true
		}
	}
}

func TestEachTryHasItsOwnNonceAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stamps []string
		nonces := map[string]bool{}
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
			m := members(t, r.Header.Get("Authorization"))
			stamps = append(stamps, m["oauth_timestamp"])
			nonces[m["oauth_nonce"]] = true
			resp := httpmock.NewStringResponse(503, "")
			resp.Header.Set("Retry-After", "10")
			return resp, nil
		})
		client, err := rest.New(rest.Config{BaseURL: "https://host", Auth: signer(t, "key", "sec"),
			HTTP: &http.Client{Transport: mock}})
		require.NoError(t, err)
		_, err = client.Do(t.Context(), rest.Request{Op: "x", Method: http.MethodGet, Safety: rest.Read})
		require.Error(t, err)
		require.Equal(t, []string{"946684800", "946684810", "946684820"}, stamps) // a bubble begins in the year 2000
		require.Len(t, nonces, 3)
	})
}

func TestRefusedKeyIsNotRetried(t *testing.T) {
	t.Parallel()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(401, ""))
	client, err := rest.New(rest.Config{BaseURL: "https://host", Auth: signer(t, "key", "sec"),
		HTTP: &http.Client{Transport: mock}})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), rest.Request{Op: "x", Method: http.MethodGet, Safety: rest.Read})
	require.ErrorContains(t, err, "401")
	require.Equal(t, 1, mock.GetTotalCallCount())
}

func TestNewRejectsBadKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ key, secret, want string }{
		{"", "hunter2", "the consumer key is empty"},
		{"key", "", "the consumer secret is empty"},
		{"key\n", "hunter2", "the consumer key has a space, a control character or a letter outside ASCII at byte 3"},
		{"key", "hunter2\r\n", "at byte 7: was it read with its line break?"},
		{"key", "hunter2 ", "the consumer secret has a space"},
		{"key", "hunter2ż", "at byte 7"},
	} {
		_, err := oauth1.New(tc.key, tc.secret)
		require.ErrorContains(t, err, tc.want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestApplyErrors(t *testing.T) {
	t.Parallel()
	form := request(t, "POST", "https://host/x")
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	for want, r := range map[string]*http.Request{
		`the query is not escaped well: invalid URL escape "%zz"`: request(t, "GET", "https://host/x?eq(a,%zz)"),
		`"%C"`:                    request(t, "GET", "https://host/x?a=%C"),
		"a form cannot be signed": form,
		"begins with xn--":        request(t, "GET", "https://żółw.example/x"),
		"names no host":           request(t, "GET", "/x"),
	} {
		err := signer(t, "key", "hunter2hunter2").Apply(t.Context(), r)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
		require.Empty(t, r.Header.Get("Authorization"))
	}
}

func TestPrintedSignerHasNoSecret(t *testing.T) {
	t.Parallel()
	s := signer(t, "key", "hunter2hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, s), "hunter2")
		require.NotContains(t, fmt.Sprintf(verb, *s), "hunter2")
	}
}

func FuzzBaseString(f *testing.F) {
	for _, query := range []string{"", "a", "a=b&a=c", "sort(+a),in(b,(c))", "%C5%bc=%26", "&&=&==", "a%2", ";"} {
		f.Add(query)
	}
	s, err := oauth1.New("key", "sec")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, query string) {
		r := request(t, "GET", "https://host/x")
		r.URL.RawQuery = query
		base, err := s.BaseString(r)
		values, wrong := url.ParseQuery(query)
		if strings.Contains(query, ";") {
			return // net/url refuses it, RFC 5849 does not
		}
		require.Equal(t, wrong == nil, err == nil, "%v, %v", wrong, err)
		if err != nil {
			return
		}
		// What is signed holds the same parameters, sorted.
		signed, err := url.PathUnescape(strings.TrimPrefix(base, "GET&https%3A%2F%2Fhost%2Fx&"))
		require.NoError(t, err)
		again, err := url.ParseQuery(signed)
		require.NoError(t, err)
		require.Len(t, again, len(values))
		for name, list := range values {
			require.ElementsMatch(t, list, again[name])
		}
		pairs := strings.Split(signed, "&")
		require.True(t, slices.IsSortedFunc(pairs, func(a, b string) int {
			an, av, _ := strings.Cut(a, "=")
			bn, bv, _ := strings.Cut(b, "=")
			return max(-1, min(1, 2*strings.Compare(an, bn)+strings.Compare(av, bv)))
		}))
	})
}
