package xmlrpc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// texts reads a document of an array of strings: as they are sent, and fit for display.
func texts(t *testing.T, contentType, document string) (literal, shown []string) {
	t.Helper()
	o := xmlrpc.DecodeOptions{ContentType: contentType}
	require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(document), o, &shown), "%q", document)
	require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(document), o, func(v *xmlrpc.Value) error {
		return v.Each(func(_ int, v *xmlrpc.Value) error {
			text, ok, err := v.Literal()
			require.True(t, ok)
			literal = append(literal, text)
			return err
		})
	}))
	return literal, shown
}

func strs(texts ...string) string {
	return answer("<value><array><data><value><string>" + strings.Join(texts, "</string></value><value><string>") +
		"</string></value></data></array></value>")
}

func TestCharset(t *testing.T) {
	t.Parallel()
	const declared = `<?xml version="1.0" encoding="`
	for name, c := range map[string]struct {
		contentType, start, text, want string
	}{
		"ISO-8859-1":                    {"", declared + `ISO-8859-1"?>`, "Caf\xe9", "Café"},
		"in another spelling":           {"", declared + `iso8859_1"?>`, "Caf\xe9", "Café"},
		"Latin-1":                       {"", declared + `latin1"?>`, "Caf\xe9", "Café"},
		"ISO-8859-15":                   {"", declared + `iso-8859-15"?>`, "\xa4 1", "€ 1"},
		"windows-1252":                  {"", declared + `Windows-1252"?>`, "\x80 1", "€ 1"},
		"cp1251":                        {"", declared + `cp1251"?>`, "\xcf\xd4", "ПФ"},
		"ISO-8859-1 with a euro":        {"", declared + `iso-8859-1"?>`, "\x80 1", "€ 1"},
		"US-ASCII with more":            {"", declared + `us-ascii"?>`, "Caf\xe9", "Café"},
		"utf8":                          {"", declared + `utf8"?>`, "Café", "Café"},
		"UTF_8 after blank lines":       {"", "\n\ufeff\r\n" + declared + `UTF_8"?>`, "Café", "Café"},
		"UTF-8 despite the declaration": {"", declared + `iso-8859-1"?>`, "Café", "Café"},
		"the HTTP header":               {"text/xml; charset=ISO-8859-2", "", "\xb3", "ł"},
		"the header against UTF-8":      {"text/xml; charset=ISO-8859-2", declared + `utf-8"?>`, "\xb3", "ł"},
		"UTF-8 despite the header":      {"text/xml; charset=ISO-8859-2", "", "ł", "ł"},
		"the document before the header": {
			"text/xml; charset=utf-8", declared + `iso-8859-2"?>`, "\xb3", "ł"},
		"an unknown one in the header": {"text/xml; charset=ebcdic", "", "ł", "ł"},
	} {
		literal, shown := texts(t, c.contentType, c.start+strs(c.text))
		require.Equal(t, []string{c.want}, literal, name)
		require.Equal(t, []string{c.want}, shown, name)
	}

	// Two bytes of the first text are one letter of UTF-8 by chance.
	_, shown := texts(t, "", declared+`iso-8859-5"?>`+strs("\xc2\xb0\xc0\xb8\xc4", "\xc2\xb0"))
	require.Equal(t, []string{"ТАРИФ", "ТА"}, shown)

	for _, name := range []string{"utf-16", "Shift_JIS", "IBM037", "x"} {
		err := xmlrpc.DecodeResponse(strings.NewReader(declared+name+`"?>`+answer("<value/>")), xmlrpc.DecodeOptions{}, nil)
		require.ErrorContains(t, err, `the document is declared to be in "`+name+`": only UTF-8, US-ASCII`)
	}
}

func TestText_replaces_what_XML_cannot_carry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"a\x0bb":                             {"a\x0bb", "a\ufffdb"},
		"a&#11;b":                            {"a\x0bb", "a\ufffdb"},
		"a&#x0B;b&#0;&#9;":                   {"a\x0bb\x00\t", "a\ufffdb\ufffd\t"},
		"<![CDATA[a&#11;\x0b]]>&#11;":        {"a&#11;\x0b\x0b", "a&#11;\ufffd\ufffd"},
		"a\xffb\xc3":                         {"a\xffb\xc3", "a\ufffdb\ufffd"},
		"<![CDATA[\xc3\x28]]>":               {"\xc3\x28", "\ufffd("},
		"\xed\xa0\x80":                       {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		"\ufffe&#xFFFF;":                     {"\ufffe\uffff", "\ufffd\ufffd"},
		"&#xD800;":                           {"\ufffd", "\ufffd"},
		"\U0010FF0B&#x10FF0B;\U0010FFFF":     {"\U0010FF0B\U0010FF0B\U0010FFFF", "\U0010FF0B\U0010FF0B\U0010FFFF"},
		"é\U0010F0B0\x01":                    {"é\U0010F0B0\x01", "é\U0010F0B0\ufffd"},
		strings.Repeat("x", 20_000) + "\xff": {strings.Repeat("x", 20_000) + "\xff", strings.Repeat("x", 20_000) + "\ufffd"},
		"\ufffd":                             {"\ufffd", "\ufffd"},
	} {
		literal, shown := texts(t, "", strs(text, "next"))
		require.Equal(t, []string{want[0], "next"}, literal, "%q", text)
		require.Equal(t, []string{want[1], "next"}, shown, "%q", text)
	}
	got, err := decode[map[string]string](t,
		answer("<value><struct><member><name>a\x01&#2;</name><value>\x03</value></member></struct></value>"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a\ufffd\ufffd": "\ufffd"}, got)
}

func TestExtensions_have_any_prefix(t *testing.T) {
	t.Parallel()
	got, err := decode[any](t,
		answer("<value><array><data><value><n:nil/></value><value><x:i8>5</x:i8></value></data></array></value>"))
	require.NoError(t, err)
	require.Equal(t, []any{nil, 5}, got)
}

func TestFault_comes_in_many_forms(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]xmlrpc.Fault{
		"faultCode=<int>4</int> faultString=no":                    {Code: 4, Message: "no"},
		"faultCode=<i8>-4</i8>":                                    {Code: -4},
		"faultCode=<string>4</string> faultString=no":              {Code: 4, Message: "no"},
		"faultCode=<string>Client</string> faultString=no":         {Name: "Client", Message: "no"},
		"faultCode= faultString=no":                                {Message: "no"},
		"faultCode=<nil/> faultString=no":                          {Message: "no"},
		"faultCode=<int>4</int> faultString=<nil/>":                {Code: 4},
		"faultCode=<int>4</int> faultString=<base64>bm8=</base64>": {Code: 4, Message: "no"},
		"faultCode=<int>4</int> faultString=<base64>?</base64>":    {Code: 4, Message: "?"},
		"faultCode=<int>4</int> faultString=<int>7</int>":          {Code: 4, Message: "7"},
		"faultCode=<int>4</int> faultString=<struct/>":             {Code: 4},
		"faultCode=<int>99999999999999999999</int>":                {Name: "99999999999999999999"},
		"faultString=\x01\xff":                                     {Message: "\ufffd\ufffd"},
	} {
		var document strings.Builder
		document.WriteString("<methodResponse><fault><value><struct>")
		for member := range strings.SplitSeq(members, " ") {
			name, value, _ := strings.Cut(member, "=")
			document.WriteString("<member><name>" + name + "</name><value>" + value + "</value></member>")
		}
		document.WriteString("</struct></value></fault></methodResponse>")
		_, err := decode[any](t, document.String())
		f, ok := errors.AsType[*xmlrpc.Fault](err)
		require.True(t, ok, "%s: %v", members, err)
		require.Equal(t, want, *f, members)
	}
	require.EqualError(t, &xmlrpc.Fault{Name: "Client", Message: "no"}, "fault Client: no")

	// What does not say that it refuses proves nothing.
	for _, value := range []string{"no", "<struct/>",
		"<struct><member><name>faultCode</name><value><nil/></value></member></struct>"} {
		_, err := decode[any](t, "<methodResponse><fault><value>"+value+"</value></fault></methodResponse>")
		require.ErrorAs(t, err, new(*xmlrpc.Error), value)
	}
}

func TestTime_comes_in_many_forms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"20261121T020304":               "2026-11-21T02:03:04Z",
		"20261121T020304Z":              "2026-11-21T02:03:04Z",
		"20261121T020304+0100":          "2026-11-21T01:03:04Z",
		"2026-11-21T02:03:04.5":         "2026-11-21T02:03:04.5Z",
		"20261121T02:03:04.250000Z":     "2026-11-21T02:03:04.25Z",
		"2026-11-21T02:03:04,123-01:30": "2026-11-21T03:33:04.123Z",
		" 2026-11-21T02:03:04-01\n":     "2026-11-21T03:03:04Z",
	} {
		got, err := decode[time.Time](t, answer("<value><dateTime.iso8601>"+text+"</dateTime.iso8601></value>"))
		require.NoError(t, err, text)
		require.Equal(t, want, got.Format(time.RFC3339Nano), text)
	}
}
