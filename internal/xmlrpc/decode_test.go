package xmlrpc_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

const head, tail = "<methodResponse><params><param>", "</param></params></methodResponse>"

// answer is a whole answer with one value.
func answer(value string) string { return head + value + tail }

// decode reads a document as it comes in one piece, and byte by byte: both must agree.
func decode[T any](t *testing.T, document string) (T, error) {
	t.Helper()
	var out, slow T
	err := xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{}, &out)
	slowly := xmlrpc.DecodeResponse(iotest.OneByteReader(strings.NewReader(document)), xmlrpc.DecodeOptions{}, &slow)
	require.Equal(t, out, slow)
	require.Equal(t, err == nil, slowly == nil, "%v, but byte by byte %v", err, slowly)
	return out, err
}

func TestEachTypeOfTheWireIsReadAsAny(t *testing.T) {
	t.Parallel()
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	at := time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC)
	tests := map[string]struct {
		value string
		want  any
	}{
		"i4":                           {"<value><i4>1000027</i4></value>", 1000027},
		"int":                          {"<value><int>-12</int></value>", -12},
		"an int with a plus and zeros": {"<value><int>+0012</int></value>", 12},
		"an int with space around it":  {"<value><int> \n12\t</int></value>", 12},
		"the NULL int of Billing":      {"<value><i4>-2147483648</i4></value>", -2147483648},
		"i8":                           {"<value><i8>9223372036854775807</i8></value>", 9223372036854775807},
		"ex:i8 without declaration":    {"<value><ex:i8>5</ex:i8></value>", 5},
		"i8 by the name space": {`<value xmlns:x="http://ws.apache.org/xmlrpc/namespaces/extensions"><x:i8>` +
			`5</x:i8></value>`, 5},
		"a bigint that fits":         {"<value><bigint>9000000000</bigint></value>", 9000000000},
		"a bigint that does not":     {"<value><bigint>123456789012345678901234567890</bigint></value>", huge},
		"double":                     {"<value><double>-12.53</double></value>", -12.53},
		"a double with an exponent":  {"<value><double>1e-3</double></value>", 0.001},
		"a double without point":     {"<value><double>7</double></value>", 7.0},
		"true":                       {"<value><boolean>1</boolean></value>", true},
		"false":                      {"<value><boolean>0</boolean></value>", false},
		"string":                     {"<value><string>Hello, world</string></value>", "Hello, world"},
		"an empty string":            {"<value><string></string></value>", ""},
		"an empty string in one tag": {"<value><string/></value>", ""},
		"a string keeps its space":   {"<value><string>  a\n </string></value>", "  a\n "},
		"a string without type":      {"<value>Hello</value>", "Hello"},
		"space without type":         {"<value>  </value>", "  "},
		"an empty value":             {"<value></value>", ""},
		"an empty value in one tag":  {"<value/>", ""},
		"escaped text": {"<value>&lt;a&gt; &amp;&quot;&apos; &#65;&#x42;&#x1F600;</value>",
			"<a> &\"' AB😀"},
		"CDATA":                   {"<value><string>a<![CDATA[<b>&amp;]]]>c</string></value>", "a<b>&amp;]c"},
		"comments":                {"<value><!-- a - b --><string>a<!--x-->b</string><!----></value>", "ab"},
		"a comment between texts": {"<value>a<!--x-->b</value>", "ab"},
		"line ends":               {"<value>a\r\nb\rc&#13;d</value>", "a\nb\nc\rd"},
		"letters of all sizes": {"<value><string>Zażółć 漢 😀 ]] ]> \u007f</string></value>",
			"Zażółć 漢 😀 ]] ]> \u007f"},
		"nil":                   {"<value><nil/></value>", nil},
		"nil in two tags":       {"<value><nil></nil></value>", nil},
		"ex:nil":                {"<value><ex:nil/></value>", nil},
		"a time without dashes": {"<value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value>", at},
		"a time with dashes":    {"<value><dateTime.iso8601>1998-07-17T14:08:55</dateTime.iso8601></value>", at},
		"a time with Z":         {"<value><dateTime.iso8601>19980717T14:08:55Z</dateTime.iso8601></value>", at},
		"a time with +02:00": {"<value><dateTime.iso8601>1998-07-17T16:08:55+02:00</dateTime.iso8601></value>",
			at},
		"a time with -0530": {"<value><dateTime.iso8601>19980717T08:38:55-0530</dateTime.iso8601></value>",
			at},
		"a time with +02": {"<value><dateTime.iso8601>19980717T16:08:55+02</dateTime.iso8601></value>", at},
		"base64":          {"<value><base64>eW91IGNhbid0</base64></value>", []byte("you can't")},
		"base64 in lines": {"<value><base64>\n eW91\r\n IGNhbid0 \n</base64></value>", []byte("you can't")},
		"empty base64":    {"<value><base64/></value>", []byte{}},
		"an array": {"<value><array><data><value><i4>1</i4></value><value>x</value></data></array>" +
			"</value>", []any{1, "x"}},
		"an empty array":             {"<value><array><data/></array></value>", []any{}},
		"an empty array in two tags": {"<value><array><data></data></array></value>", []any{}},
		"a struct": {"<value><struct><member><name>a</name><value>1</value></member><member><name>" +
			"b &amp; c</name><value><nil/></value></member></struct></value>", map[string]any{"a": "1", "b & c": nil}},
		"an empty struct":             {"<value><struct/></value>", map[string]any{}},
		"an empty struct in two tags": {"<value><struct> </struct></value>", map[string]any{}},
		"a member with an empty name": {"<value><struct><member><name/><value/></member></struct></value>",
			map[string]any{"": ""}},
		"arrays in structs in arrays": {"<value><array><data><value><struct><member><name>a</name><value><array>" +
			"<data><value/></data></array></value></member></struct></value></data></array></value>",
			[]any{map[string]any{"a": []any{""}}}},
		"space between all tags": {" <value> \n<array> <data> <value>\t<int>1</int>\r\n</value > </data\n> " +
			"</array> </value> ", []any{1}},
		"attributes that mean nothing":     {`<value a="1" b = 'x"y' ><int c="">1</int></value>`, 1},
		"a bound prefix ends with its tag": {`<value><array><data><value xmlns:x="http://ws.apache.org/xmlrpc/namespaces/extensions"><x:nil/></value></data></array></value>`, []any{nil}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode[any](t, answer(test.value))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestAnIntegerIsRefusedWhereItDoesNotFit(t *testing.T) {
	t.Parallel()
	const wide = "<value><bigint>123456789012345678901</bigint></value>"
	_, err := decode[int64](t, answer(wide))
	require.ErrorContains(t, err, `the integer "123456789012345678901" does not fit 64 bits`)
	_, err = decode[int](t, answer(wide))
	require.ErrorContains(t, err, "does not fit 64 bits")
	_, err = decode[uint64](t, answer(wide))
	require.ErrorContains(t, err, "does not fit an uint64")
	_, err = decode[int8](t, answer("<value><i4>128</i4></value>"))
	require.ErrorContains(t, err, "the integer 128 does not fit an int8")
	_, err = decode[uint](t, answer("<value><i4>-1</i4></value>"))
	require.ErrorContains(t, err, `the integer "-1" does not fit an uint`)
	_, err = decode[float32](t, answer("<value><double>1e300</double></value>"))
	require.ErrorContains(t, err, "does not fit a float32")
}

type client struct {
	Name    string           `xmlrpc:"name"`
	Age     *int             `xmlrpc:"age"`
	Balance *decimal.Decimal `xmlrpc:"balance"`
	Secret  string           `xmlrpc:"-"`
	Since   time.Time
	Tags    []string
	Extra   map[string]int
	Point   [2]int
	ID      *big.Int
	Level   uint8
	Ratio   float32
	Blob    []byte
	Kind    kind
	Any     any
	Active  bool
	Raw     blob
	hidden  int //nolint:unused // to be left alone
}

type (
	kind string
	blob []byte
)

func TestAStructIsReadByNameAndByPosition(t *testing.T) {
	t.Parallel()
	cells := []struct{ name, value string }{
		{"name", "<string>Acme</string>"},
		{"age", "<i4>7</i4>"},
		{"balance", "<double>12.50</double>"},
		{"Since", "<dateTime.iso8601>20261101T00:00:00</dateTime.iso8601>"},
		{"Tags", "<array><data><value>a</value><value>b</value></data></array>"},
		{"Extra", "<struct><member><name>x</name><value><int>1</int></value></member></struct>"},
		{"Point", "<array><data><value><int>3</int></value><value><int>4</int></value></data></array>"},
		{"ID", "<bigint>12345678901234567890</bigint>"},
		{"Level", "<int>200</int>"},
		{"Ratio", "<double>0.5</double>"},
		{"Blob", "<base64>eHk=</base64>"},
		{"Kind", "big"},
		{"Any", "<array><data/></array>"},
		{"Active", "<boolean>1</boolean>"},
		{"Raw", "<base64>eHk=</base64>"},
		{"unknown", "<struct><member><name>Secret</name><value>x</value></member></struct>"},
	}
	var named, placed strings.Builder
	for _, c := range cells {
		named.WriteString("<member><name>" + c.name + "</name><value>" + c.value + "</value></member>")
		placed.WriteString("<value>" + c.value + "</value>")
	}
	id, _ := new(big.Int).SetString("12345678901234567890", 10)
	want := client{
		Name: "Acme", Age: new(7), Balance: new(decimal.RequireFromString("12.50")),
		Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Tags: []string{"a", "b"}, Extra: map[string]int{"x": 1},
		Point: [2]int{3, 4}, ID: id, Level: 200, Ratio: 0.5, Blob: []byte("xy"), Kind: "big", Any: []any{}, Active: true,
		Raw: blob("xy"),
	}
	got, err := decode[client](t, answer("<value><struct>"+named.String()+"</struct></value>"))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = decode[client](t, answer("<value><array><data>"+placed.String()+"</data></array></value>"))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestAShortRowLeavesTheRestAsItIs(t *testing.T) {
	t.Parallel()
	out := struct{ A, B int }{5, 6}
	err := xmlrpc.DecodeResponse(
		strings.NewReader(answer("<value><array><data><value><i4>1</i4></value></data></array></value>")),
		xmlrpc.DecodeOptions{}, &out)
	require.NoError(t, err)
	require.Equal(t, struct{ A, B int }{1, 6}, out)
}

func TestNilIsReadWhereThereCanBeNothing(t *testing.T) {
	t.Parallel()
	const null = "<value><nil/></value>"
	out := struct {
		P *int
		S []int
		B []byte
		M map[string]int
		A any
	}{new(1), []int{1}, []byte{1}, map[string]int{"a": 1}, 1}
	err := xmlrpc.DecodeResponse(strings.NewReader(answer("<value><array><data>"+strings.Repeat(null,
		5)+"</data></array></value>")), xmlrpc.DecodeOptions{}, &out)
	require.NoError(t, err)
	require.Zero(t, out)
	_, err = decode[int](t, answer(null))
	require.ErrorContains(t, err, "expected int, found nil")
	_, err = decode[any](t, answer("<value><nil>x</nil></value>"))
	require.ErrorContains(t, err, `nil must be empty, but holds "x"`)
}

func TestDecimalsAreExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.1": "0.1", "12.50": "12.5", "-0.01": "-0.01", "+3.": "3", ".5": "0.5", "1e3": "1000", "1E-2": "0.01",
		"123456789012345678901234567890.12345": "123456789012345678901234567890.12345",
		"99999999999999999.99":                 "99999999999999999.99", "0": "0", " 7.5 ": "7.5",
	} {
		got, err := decode[decimal.Decimal](t, answer("<value><double>"+text+"</double></value>"))
		require.NoError(t, err, text)
		require.Equal(t, want, got.String())
	}
	got, err := decode[decimal.Decimal](t, answer("<value><i4>12</i4></value>"))
	require.NoError(t, err)
	require.Equal(t, "12", got.String())
	_, err = decode[decimal.Decimal](t, answer("<value>12</value>"))
	require.ErrorContains(t, err, `expected double, found string "12"`)
}

func TestAScalarThatIsNotWhatItSaysIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"<int></int>":                               `"" is not an integer`,
		"<int>-</int>":                              `"-" is not an integer`,
		"<int>1.0</int>":                            `"1.0" is not an integer`,
		"<int>1_0</int>":                            `"1_0" is not an integer`,
		"<int>0x1</int>":                            `"0x1" is not an integer`,
		"<double>NaN</double>":                      `"NaN" is not a double`,
		"<double>inf</double>":                      `"inf" is not a double`,
		"<double>0x1p2</double>":                    `"0x1p2" is not a double`,
		"<double>.</double>":                        `"." is not a double`,
		"<double>1e</double>":                       `"1e" is not a double`,
		"<double>1,5</double>":                      `"1,5" is not a double`,
		"<double/>":                                 `"" is not a double`,
		"<double>1e-401</double>":                   `the exponent of the double "1e-401" is out of range`,
		"<double>1e401</double>":                    `the exponent of the double "1e401" is out of range`,
		"<double>1e-999999999999999999999</double>": "is out of range",
		"<double>1e399</double>":                    `the double "1e399" is out of range`,
		"<boolean>true</boolean>":                   `"true" is not a boolean: it must be 0 or 1`,
		"<boolean/>":                                `"" is not a boolean`,
		"<base64>eW9?</base64>":                     "the text is not base64: illegal base64 data at input byte 3",
		"<base64>eW9</base64>":                      "the text is not base64",
		"<dateTime.iso8601/>": `"" is not a dateTime: it must look like 19980717T14:08:55 or ` +
			`1998-07-17T14:08:55`,
		"<dateTime.iso8601>19981317T14:08:55</dateTime.iso8601>":       "is not a dateTime",
		"<dateTime.iso8601>1998-07-17 14:08:55</dateTime.iso8601>":     "is not a dateTime",
		"<dateTime.iso8601>19980717T14:08:55+25:00</dateTime.iso8601>": "is not a dateTime",
		"<dateTime.iso8601>19980717T14:08:55+1:00</dateTime.iso8601>":  "is not a dateTime",
		"<dateTime.iso8601>19980717T14:08:55 Zulu</dateTime.iso8601>":  "is not a dateTime",
		"<dateTime.iso8601>00000101T00:00:00+01:00</dateTime.iso8601>": "is out of range",
		"<int>" + strings.Repeat("9", 65) + "</int>":                   "a number must have at most 64 characters, not 65",
		"<double>0." + strings.Repeat("9", 63) + "</double>":           "a number must have at most 64 characters, not 65",
	}
	for value, want := range tests {
		_, err := decode[any](t, answer("<value>"+value+"</value>"))
		require.ErrorContains(t, err, want)
	}
}

func TestErrorsTellTheByteAndThePath(t *testing.T) {
	t.Parallel()
	type result struct{ Result [][]int }
	row := "<value><array><data><value><i4>1</i4></value><value>x</value></data></array></value>"
	document := answer("<value><struct><member><name>Result</name><value><array><data>" + row +
		"</data></array></value></member></struct></value>")
	_, err := decode[result](t, document)
	at := strings.Index(document, "<value>x")
	require.EqualError(t, err, "xmlrpc: byte "+big.NewInt(int64(at)).String()+
		`: Result[0][1]: expected int, found string "x"`)
	e, ok := errors.AsType[*xmlrpc.Error](err)
	require.True(t, ok)
	require.EqualValues(t, at, e.Offset)
	require.Equal(t, "Result[0][1]", e.Path)

	mine := errors.New("mine")
	err = xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{}, func(v *xmlrpc.Value) error {
		return v.Members(func(string, *xmlrpc.Value) error { return mine })
	})
	require.ErrorIs(t, err, mine)
	require.ErrorContains(t, err, "Result: mine")

	_, err = decode[map[string]map[string]int](t,
		answer("<value><struct><member><name>a</name><value><struct><member><name>b c</name><value><struct/></value>"+
			"</member></struct></value></member></struct></value>"))
	require.ErrorContains(t, err, `a["b c"]: expected int, found struct`)
	_, err = decode[int](t, answer("<value>a"+strings.Repeat("é", 100)+"</value>"))
	require.ErrorContains(t, err, `expected int, found string "a`+strings.Repeat("é", 19)+`"…`)
}

func TestOutIsNotTouchedByABadDocument(t *testing.T) {
	t.Parallel()
	out := []int{7}
	for cut := range len(answer("<value><array><data><value><i4>1</i4></value></data></array></value>")) {
		document := answer("<value><array><data><value><i4>1</i4></value></data></array></value>")[:cut]
		err := xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{}, &out)
		require.Error(t, err, document)
		require.Equal(t, []int{7}, out)
	}
}

func TestWhatCannotBeDecodedIntoIsSaid(t *testing.T) {
	t.Parallel()
	read := func(value string, out any) error {
		return xmlrpc.DecodeResponse(strings.NewReader(answer(value)), xmlrpc.DecodeOptions{}, out)
	}
	require.ErrorContains(t, read("<value/>", 1), "cannot decode into int: a pointer is needed")
	require.ErrorContains(t, read("<value/>", (*int)(nil)), "a pointer is needed")
	require.ErrorContains(t, read("<value/>", new(chan int)), "cannot decode a string into a chan int")
	require.ErrorContains(t, read("<value><struct/></value>", new(map[int]int)), "the keys must be strings")
	require.ErrorContains(t, read("<value><struct/></value>", new(struct {
		A int `xmlrpc:"B"`
		B int
	})), `two fields named "B"`)
	require.ErrorContains(t, read("<value><struct/></value>", new(struct {
		A int `xmlrpc:"B,omitemty"`
	})), `unknown option "omitemty"`)
	require.ErrorContains(t, read("<value><array><data><value/></data></array></value>", new([2]string)),
		"expected 2 values, found 1")
	require.ErrorContains(t, read("<value><array><data><value/><value/></data></array></value>", new([1]string)),
		"expected 1 values, found more")
	const twice = "<value><struct><member><name>A</name><value/></member><member><name>A</name><value/></member>" +
		"</struct></value>"
	for _, out := range []any{new(any), new(map[string]string), new(struct{ A string })} {
		require.ErrorContains(t, read(twice, out), "A: the struct has this member twice")
	}
	require.NoError(t, read("<value/>", nil))
	require.Error(t, read("<value>", nil))
}

func TestTimesAreInTheZoneOfTheOptions(t *testing.T) {
	t.Parallel()
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	require.NoError(t, err)
	for text, want := range map[string]time.Time{
		"20260701T12:00:00":  time.Date(2026, 7, 1, 12, 0, 0, 0, warsaw),
		"20260701T12:00:00Z": time.Date(2026, 7, 1, 14, 0, 0, 0, warsaw),
	} {
		var got time.Time
		err := xmlrpc.DecodeResponse(strings.NewReader(answer("<value><dateTime.iso8601>"+text+
			"</dateTime.iso8601></value>")), xmlrpc.DecodeOptions{Location: warsaw}, &got)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
