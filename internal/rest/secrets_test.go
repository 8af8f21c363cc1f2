package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/oauth1"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

func TestBasicAuthSendsAndHidesThePassword(t *testing.T) {
	t.Parallel()
	const password = "pass: wörd-42"
	auth, err := rest.BasicAuth("operator", password)
	require.NoError(t, err)
	c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
		name, given, ok := r.BasicAuth()
		require.True(t, ok)
		require.Equal(t, []string{"operator", password}, []string{name, given})
		return status(401, "not "+given+", not "+name+":"+given+", not "+r.Header.Get("Authorization")), nil
	}, withAuth(auth))
	_, err = c.Do(t.Context(), get)
	require.Equal(t, "not [redacted], not [redacted], not [redacted]", string(restError(t, err).Body))
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		printed := fmt.Sprintf(verb, auth)
		require.NotContains(t, printed, password)
		require.NotContains(t, printed, "b3BlcmF0b3I6") // "operator:" in base64
	}
}

func TestBasicAuthRejectsBadArguments(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, password, want string }{
		{"", "hunter2", "the user name is empty"},
		{"a", "", "the password is empty"},
		{"a:b", "hunter2", "has a colon"},
		{"a", "hunter2\n", "was it read with its line break?"},
	} {
		_, err := rest.BasicAuth(tc.name, tc.password)
		require.ErrorContains(t, err, tc.want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestErrorsHideTheSignatureOnly(t *testing.T) {
	t.Parallel()
	auth, err := oauth1.New("consumer/key", "consumer-secret")
	require.NoError(t, err)
	var sent string
	c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
		sent = r.Header.Get("Authorization")
		plain, err := url.PathUnescape(sent)
		require.NoError(t, err)
		return withHeader(status(401, sent+"\n"+plain), "X-Echo", sent[len("OAuth "):]), nil
	}, withAuth(auth))
	_, err = c.Do(t.Context(), get)
	e := restError(t, err)
	_, signature, _ := strings.Cut(sent, `oauth_signature="`)
	signature = strings.TrimSuffix(signature, `"`)
	require.Len(t, strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(signature, "%2B", "+"), "%2F", "/"), "%3D",
		"="), 28)
	plain, err := url.PathUnescape(signature)
	require.NoError(t, err)
	shown := fmt.Sprintf("%v %s %v", e, e.Body, e.Header)
	for _, secret := range []string{signature, plain, "consumer/key", "consumer%2Fkey", "consumer-secret"} {
		require.NotContains(t, shown, secret)
	}
	require.Contains(t, shown, `oauth_signature_method="HMAC-SHA1",oauth_timestamp="`)
}

func TestSecretsAreRemovedInEverySpelling(t *testing.T) {
	t.Parallel()
	const secret = `pass/word+1="<&>"`
	auth, err := rest.StaticAuth("APS-Token", secret)
	require.NoError(t, err)
	once := rest.Request{Op: "push", Method: http.MethodPost}
	for name, spelling := range map[string]string{
		"base64": "cGFzcy93b3JkKzE9IjwmPiI=", "of a URL": "pass%2Fword+1=%22%3C&%3E%22",
		"of a form": "pass%2Fword%2B1%3D%22%3C%26%3E%22",
		"XML":       `pass/word+1="&lt;&amp;&gt;"`, "HTML": `pass/word+1=&#34;&lt;&amp;&gt;&#34;`,
		"Go":   `pass/word+1=\"<&>\"`,
		"JSON": `pass/word+1=\"\u003c\u0026\u003e\"`, "XML in JSON": `pass/word+1=\"\u0026lt;\u0026amp;\u0026gt;\"`,
	} {
		require.Contains(t, rest.Spellings(secret), spelling, name)
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
			return withHeader(status(401, "not "+spelling), "X-Echo", spelling), nil
		}, withAuth(auth))
		_, err := c.Do(t.Context(), once)
		e := restError(t, err)
		require.Equal(t, "not [redacted]", string(e.Body), name)
		require.Equal(t, "[redacted]", e.Header.Get("X-Echo"), name)

		c, _ = client(t, func(int, *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %s", spelling)
		}, withAuth(auth))
		_, err = c.Do(t.Context(), once)
		require.NotContains(t, fmt.Sprintf("%v %#v", err, restError(t, err).Err), spelling, name)
	}
}

func TestShortSecretsAreRemovedAsWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ secret, body, want string }{
		"a word":             {"test", "the token test is wrong", "the token [redacted] is wrong"},
		"all of the text":    {"test", "test", "[redacted]"},
		"in quotes":          {"test", `{"token":"test"}`, `{"token":"[redacted]"}`},
		"several times":      {"test", "test,test test", "[redacted],[redacted] [redacted]"},
		"in other words":     {"test", "latest tests of testing", "latest tests of testing"},
		"one letter":         {"a", "a bad a-b 'a'", "[redacted] bad [redacted]-b '[redacted]'"},
		"a number":           {"42", "42 is not 420 or 142", "[redacted] is not 420 or 142"},
		"after an escape":    {"test", `a\ntest \u003dtest \x00test %3Dtest`, `a\n[redacted] \u003d[redacted] \x00[redacted] %3D[redacted]`},
		"with punctuation":   {"a/b+=", "xa/b+=y and a%2Fb%2B%3D", "xa/b+=y and [redacted]"},
		"only punctuation":   {"?!", "what?!no", "what[redacted]no"},
		"in base64":          {"test", "Basic dGVzdA== or dGVzdA", "Basic [redacted] or [redacted]"},
		"beside other texts": {"té", "été té", "é[redacted] [redacted]"},
		"overlapping":        {"aa", "aaa aa", "aaa [redacted]"},
		"seven letters":      {"hunter2", "not hunter2, not hunter22", "not [redacted], not hunter22"},
		"eight letters":      {"hunter22", "not hunter22, not hunter222", "not [redacted], not [redacted]2"},
	} {
		require.Equal(t, test.want, string(rest.Redact([]byte(test.body), []string{"", test.secret})), name)
	}
}

func TestShortCredentialsAreHidden(t *testing.T) {
	t.Parallel()
	basic, err := rest.BasicAuth("operator", "pw")
	require.NoError(t, err)
	token, err := rest.StaticAuth("APS-Token", "test")
	require.NoError(t, err)
	bearer, err := rest.TokenAuth("Authorization", func(context.Context) (string, error) { return "Bearer abc", nil })
	require.NoError(t, err)
	key, err := rest.StaticAuth("Authorization", "ApiKey SU-1:s3c")
	require.NoError(t, err)
	for secret, auth := range map[string]rest.Auth{"pw": basic, "test": token, "abc": bearer, "s3c": key} {
		c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
			sent := r.Header.Get("Authorization") + r.Header.Get("APS-Token")
			refused := status(401, fmt.Sprintf("the Bearer token %q of %s is wrong", secret, sent))
			return withHeader(refused, "X-Echo", secret), nil
		}, withAuth(auth))
		_, err := c.Do(t.Context(), get)
		e := restError(t, err)
		require.NotRegexp(t, `\b`+secret+`\b`, fmt.Sprintf("%v %s %v", e, e.Body, e.Header))
		require.Contains(t, string(e.Body), `the Bearer token "[redacted]" of `)
	}
}
