package xmlrpc_test

import (
	"errors"
	"flag"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

type execute struct {
	Server   string
	Method   string
	Lang     string `xmlrpc:",omitempty"`
	Params   []any
	Username string `xmlrpc:"Username,omitempty"`
}

func TestTheWireFormatOfACall(t *testing.T) {
	t.Parallel()
	got, err := xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "Execute", execute{
		Server: "BM", Method: "OrderStatusChange_API", Lang: "en",
		Params: []any{1000027, "PD", "896e5b31a005ae3054ecd0ead0e59b54"},
	})
	require.NoError(t, err)
	golden(t, "call.xml", got)
	none, err := xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "system.listMethods")
	require.NoError(t, err)
	require.Equal(t, `<?xml version="1.0" encoding="UTF-8"?>`+
		"\n<methodCall><methodName>system.listMethods</methodName><params></params></methodCall>\n", string(none))
}

func TestTheWireFormatOfEveryType(t *testing.T) {
	t.Parallel()
	at := time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC)
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	text := kind("named")
	type yes bool
	got, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{Wide: xmlrpc.BigInt, Nil: true}, []any{
		1, int8(-1), int64(1) << 40, uint16(7), uint64(math.MaxUint64), huge, *huge,
		1.5, float32(0.1), 1e300, 1e-7, decimal.RequireFromString("12.50"),
		decimal.RequireFromString("123456789012345678901234567890.123"),
		true, yes(false), "", "a<b>&\"'\r\n\t é 漢 😀", text, &text, []byte("xy"), []byte{}, blob("xy"), at, &at,
		nil, (*int)(nil), []string{"a", "b"}, [2]bool{true, false}, []any{}, map[string]any{"b": 1, "a & c": 2, "": nil},
		map[kind]int{"z": 1},
		struct {
			B    int
			A    string `xmlrpc:"<a>"`
			None string `xmlrpc:"-"`
			Zero int    `xmlrpc:",omitempty"`
			c    int
		}{1, "x", "y", 0, 1},
	})
	require.NoError(t, err)
	golden(t, "types.xml", got)
}

func TestTheWireFormatOfAFault(t *testing.T) {
	t.Parallel()
	got, err := xmlrpc.EncodeFault(&xmlrpc.Fault{Code: 1001, Message: "VGFibGU="})
	require.NoError(t, err)
	golden(t, "fault.xml", got)
	_, err = xmlrpc.EncodeFault(&xmlrpc.Fault{Code: math.MaxInt64})
	require.ErrorContains(t, err, "faultCode: the integer")
}

func TestWhatTheWireCannotCarryIsRefused(t *testing.T) {
	t.Parallel()
	var circle any
	circle = &circle
	slice := []any{nil}
	slice[0] = slice
	huge := new(big.Int).Lsh(big.NewInt(1), 70)
	tests := map[string]struct {
		value any
		o     xmlrpc.EncodeOptions
		want  string
	}{
		"not a number": {math.NaN(), xmlrpc.EncodeOptions{},
			"NaN cannot be sent: XML-RPC has only finite doubles"},
		"infinity": {float32(math.Inf(-1)), xmlrpc.EncodeOptions{}, "-Inf cannot be sent"},
		"more than an i4": {math.MaxInt32 + 1, xmlrpc.EncodeOptions{},
			`the integer "2147483648" does not fit an i4, and wider ones are not allowed by option`},
		"less than an i4": {int64(math.MinInt32 - 1), xmlrpc.EncodeOptions{}, "does not fit an i4"},
		"an unsigned one": {uint64(math.MaxUint64), xmlrpc.EncodeOptions{Wide: xmlrpc.I8},
			`the integer "18446744073709551615" does not fit an i8`},
		"a big one": {huge, xmlrpc.EncodeOptions{}, "does not fit an i4"},
		"one that is too big": {new(big.Int).Lsh(huge, 40_000), xmlrpc.EncodeOptions{Wide: xmlrpc.BigInt},
			"an integer of 40071 bits cannot be sent"},
		"an option that is unknown": {1 << 40, xmlrpc.EncodeOptions{Wide: "long"}, `the option for wide integers is "long"`},
		"nil": {nil, xmlrpc.EncodeOptions{},
			"nil cannot be sent: the specification has no nil, and it is not allowed by option"},
		"a nil pointer": {(*string)(nil), xmlrpc.EncodeOptions{}, "nil cannot be sent"},
		"a control character": {"a\x01", xmlrpc.EncodeOptions{},
			"XML cannot carry the character U+0001 at byte 1 of the text: send it as []byte"},
		"a noncharacter": {"\uffff", xmlrpc.EncodeOptions{}, "XML cannot carry the character U+FFFF"},
		"text that is not UTF-8": {"ab\xff", xmlrpc.EncodeOptions{},
			"the text is not UTF-8 (byte 2, 0xff): send it as []byte"},
		"a fraction of a second": {time.Unix(0, 1), xmlrpc.EncodeOptions{}, "use Truncate(time.Second)"},
		"a year of five digits": {time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), xmlrpc.EncodeOptions{},
			"the year 10000 cannot be sent"},
		"a decimal without end": {decimal.New(1, 1_000_000), xmlrpc.EncodeOptions{},
			"a decimal with the exponent 1000000 cannot be sent"},
		"a channel":             {make(chan int), xmlrpc.EncodeOptions{}, "a chan int cannot be sent"},
		"a map with other keys": {map[int]int{}, xmlrpc.EncodeOptions{}, "the keys must be strings"},
		"a pointer to itself":   {circle, xmlrpc.EncodeOptions{}, "values are nested more than 64 deep"},
		"a slice in itself":     {slice, xmlrpc.EncodeOptions{}, "values are nested more than 64 deep"},
		"a name XML cannot carry": {map[string]int{"\x02": 1}, xmlrpc.EncodeOptions{},
			"the name of the member: XML cannot carry the character U+0002"},
		"a struct with a wrong tag": {struct {
			A int `xmlrpc:",x"`
		}{}, xmlrpc.EncodeOptions{}, `unknown option "x"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := xmlrpc.EncodeResponse(test.o, test.value)
			require.ErrorContains(t, err, test.want)
			_, err = xmlrpc.EncodeCall(test.o, "m", "first", map[string]any{"a": []any{1, test.value}})
			require.ErrorContains(t, err, "xmlrpc: params[1].a[1]")
			e, ok := errors.AsType[*xmlrpc.Error](err)
			require.True(t, ok)
			require.EqualValues(t, -1, e.Offset)
		})
	}
	_, err := xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "a b")
	require.EqualError(t, err, `xmlrpc: "a b" is not the name of a method: only letters, digits and _ . : / are allowed`)
}

func TestTheReplacementCharacterIsText(t *testing.T) {
	t.Parallel()
	b, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{}, "a\ufffdb")
	require.NoError(t, err)
	got, err := decode[string](t, string(b))
	require.NoError(t, err)
	require.Equal(t, "a\ufffdb", got)
}

func TestTimesAreWrittenInTheZoneOfTheOptions(t *testing.T) {
	t.Parallel()
	warsaw, err := time.LoadLocation("Europe/Warsaw")
	require.NoError(t, err)
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for o, want := range map[*time.Location]string{nil: "20260701T12:00:00", warsaw: "20260701T14:00:00"} {
		b, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{Location: o}, at)
		require.NoError(t, err)
		require.Contains(t, string(b), want)
		var got time.Time
		require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(string(b)), xmlrpc.DecodeOptions{Location: o}, &got))
		require.True(t, at.Equal(got))
	}
}
