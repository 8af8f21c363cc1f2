package number_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

const tooLong = "a number must have at most 64 characters, not 1048576"

func TestParsersRejectLongNumbers(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	for name, parse := range map[string]func() error{
		"Atoi":       func() error { _, err := number.Atoi(long); return err },
		"ParseInt":   func() error { _, err := number.ParseInt(long, 10, 64); return err },
		"ParseUint":  func() error { _, err := number.ParseUint(long, 10, 64); return err },
		"ParseFloat": func() error { _, err := number.ParseFloat(long, 64); return err },
		"Decimal":    func() error { _, err := number.Decimal(long); return err },
		"Check":      func() error { return number.Check([]byte(long)) },
	} {
		require.EqualError(t, parse(), tooLong, name)
		require.Less(t, testing.AllocsPerRun(10, func() { _ = parse() }), 10.0, name)
	}
}

func TestParsersAgreeWithStrconv(t *testing.T) {
	t.Parallel()
	n, err := number.Atoi("-12")
	require.NoError(t, err)
	require.Equal(t, -12, n)
	i, err := number.ParseInt("12", 10, 8)
	require.NoError(t, err)
	require.Equal(t, int64(12), i)
	_, err = number.ParseInt("128", 10, 8)
	require.Error(t, err)
	u, err := number.ParseUint("ff", 16, 8)
	require.NoError(t, err)
	require.Equal(t, uint64(255), u)
	f, err := number.ParseFloat("1.5", 64)
	require.NoError(t, err)
	require.InDelta(t, 1.5, f, 0)
}

func TestDecimalKeepsPlaces(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"12.50": "12.50", "-0.07": "-0.07", "1e2": "100", "1.5e1": "15", "0": "0", "0.00": "0.00",
		"1e-60":                 "0." + strings.Repeat("0", 59) + "1",
		strings.Repeat("9", 64): strings.Repeat("9", 64),
	} {
		d, err := number.Decimal(in)
		require.NoError(t, err, in)
		text, err := number.Text(d)
		require.NoError(t, err, in)
		require.Equal(t, want, text)
		require.NoError(t, number.CheckDecimal(d))
		again, err := number.Decimal(text)
		require.NoError(t, err)
		require.True(t, d.Equal(again))
	}
	for _, in := range []string{
		"", "a", "1e70", "-1e64", "1e-70", "1e2147483647", "-1e-2147483648", "1e99999999999", "NaN", "Infinity",
		strings.Repeat("9", 65),
	} {
		start := time.Now()
		_, err := number.Decimal(in)
		require.Error(t, err, in)
		require.Less(t, time.Since(start), time.Second, in)
	}
}

func TestTextRejectsHugeNumbers(t *testing.T) {
	t.Parallel()
	for _, d := range []decimal.Decimal{
		decimal.New(1, 1<<31-1), decimal.New(1, -1<<31), decimal.New(10, 64), decimal.New(1, -64),
	} {
		require.Error(t, number.CheckDecimal(d))
		_, err := number.Text(d)
		require.ErrorContains(t, err, "at most 64 characters")
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 1<<20)
	require.EqualError(t, number.CheckJSON([]byte(`{"a":1,"b":`+long+`}`)), "byte 12: "+tooLong)
	require.EqualError(t, number.CheckJSON([]byte(`["x\"",-`+long[:1<<20-1]+`]`)), "byte 8: "+tooLong)
	for _, fine := range []string{``, `"` + long + `"`, `"\\"`, `"` + long, `"\`, `[1,2.5e-3,"\"` + long + `"]`,
		strings.Repeat("1,", 1000)} {
		require.NoError(t, number.CheckJSON([]byte(fine)))
	}
	var n json.Number
	require.EqualError(t, number.Unmarshal([]byte(" "+long), &n), "byte 2: "+tooLong)
	require.Error(t, number.Unmarshal([]byte(`{`), &n))
	require.NoError(t, number.Unmarshal([]byte(`12`), &n))
	require.Equal(t, json.Number("12"), n)
}
