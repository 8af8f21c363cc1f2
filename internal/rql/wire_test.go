package rql_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// These tests read what is written as the sources say that servers do, and not
// with the parser beside them, which could share a misunderstanding.

// onTheWire is what a server gets as its query string.
func onTheWire(t require.TestingT, raw string) string {
	u := url.URL{Scheme: "https", Host: "host", Path: "/orders", RawQuery: raw}
	_, query, found := strings.Cut(u.RequestURI(), "?")
	require.True(t, found)
	require.Equal(t, raw, query)
	require.NotContains(t, query, "+", "a form would read it as a blank")
	require.NotRegexp(t, "[^!-~]", query, "it would break the request line")
	return query
}

// connectValues are the values of connect/WIRE.md#3, without and with quotes.
var connectValues = regexp.MustCompile(`^(?:([\w\-*+\\][\w.\s\-:+@*\\]*)|"([^"]*)"|'([^']*)')(,|$)`)

func TestConnectRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(value(rql.Connect), 1, 4).Draw(rt, "values")
		query, err := rql.Format(rql.Connect, "&", in("name", values...), cmp("eq", "limit", "1"))
		require.NoError(rt, err)
		query, err = url.PathUnescape(onTheWire(rt, rql.Escape(query))) // Python's unquote
		require.NoError(rt, err)
		list, ok := strings.CutPrefix(query, "in(name,(")
		require.True(rt, ok)
		list, ok = strings.CutSuffix(list, "))&limit=1")
		require.True(rt, ok)
		var got []string
		for list != "" {
			m := connectValues.FindStringSubmatch(list)
			require.NotNil(rt, m, "%q", list)
			require.NotEqual(rt, "t", m[1], "a keyword without quotes")
			got, list = append(got, m[1]+m[2]+m[3]), list[len(m[0]):]
		}
		require.Equal(rt, values, got)
	})
}

func TestAPSRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(value(rql.APS), 1, 4).Draw(rt, "values")
		query, err := rql.Format(rql.APS, ",", in("name", values...))
		require.NoError(rt, err)
		list, ok := strings.CutPrefix(onTheWire(rt, query), "in(name,(")
		require.True(rt, ok)
		list, ok = strings.CutSuffix(list, "))")
		require.True(rt, ok)
		var got []string
		for v := range strings.SplitSeq(list, ",") {
			require.NotRegexp(rt, `[ !#&'()=;\[\]:/~]`, v, "reserved inside a value (commerce/WIRE.md#2.5)")
			// Whether the server decodes as a path or as a form is not published.
			path, err := url.PathUnescape(v)
			require.NoError(rt, err)
			form, err := url.QueryUnescape(v)
			require.NoError(rt, err)
			require.Equal(rt, path, form)
			got = append(got, path)
		}
		require.Equal(rt, values, got)
	})
}
