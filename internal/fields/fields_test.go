package fields_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/fields"
)

func of(t *testing.T, raw string) *fields.Reader {
	t.Helper()
	r, err := fields.Of(json.RawMessage(raw))
	require.NoError(t, err)
	return r
}

func TestOfRejectsOtherValues(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "null", "[]", "1", `"a"`, "{"} {
		_, err := fields.Of(json.RawMessage(raw))
		require.EqualError(t, err, "it is not a JSON object", raw)
	}
}

func TestAbsentOrNullFieldsAreZero(t *testing.T) {
	t.Parallel()
	r := of(t, `{"a":null}`)
	for _, key := range []string{"a", "b"} {
		require.Empty(t, r.Text(key))
		require.Zero(t, r.Time(key))
		r.Each(key, func(json.RawMessage) error { t.Error("there is no element"); return nil })
	}
	require.NoError(t, r.Err())
	d, err := fields.Decimal(nil)
	require.NoError(t, err)
	require.True(t, d.IsZero())
}

func TestReaderContinuesAfterAProblem(t *testing.T) {
	t.Parallel()
	r := of(t, `{"at":"noon","list":{"a":1},"good":"a","ids":["a",{},"b",[]]}`)
	require.Zero(t, r.Time("at"))
	r.Each("list", func(json.RawMessage) error { return nil })
	require.Equal(t, "a", r.Text("good"))
	var ids []string
	r.Each("ids", func(raw json.RawMessage) error {
		id, err := fields.Scalar(raw)
		ids = append(ids, id)
		return err
	})
	require.Equal(t, []string{"a", "", "b", ""}, ids)
	require.Equal(t, []string{
		`at must be a time such as 2026-11-01T10:00:00Z, not "noon"`,
		`list must be a list, not {"a":1}`,
		"ids [1] must be a text or a number, not {}",
	}, r.Problems())
	require.EqualError(t, r.Err(), r.Problems()[0])
}

func TestRowIDsAreStable(t *testing.T) {
	t.Parallel()
	page := func() (ids []string) {
		var rows fields.RowIDs
		for _, row := range []string{"null", "{}", "null"} {
			ids = append(ids, rows.Next([]byte(row)))
		}
		return ids
	}
	ids := page()
	require.Equal(t, ids, page())
	require.Len(t, map[string]bool{ids[0]: true, ids[1]: true, ids[2]: true}, 3)
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`"1234567890123456.70"`: "1234567890123456.7", `0.10`: "0.1", `1e2`: "100",
		`""`: "0"} {
		d, err := fields.Decimal(json.RawMessage(raw))
		require.NoError(t, err)
		require.Equal(t, want, d.String())
	}
	for _, raw := range []string{`1e999999`, `1e70`, `"1e-65"`, strings.Repeat("9", 65), `"a lot"`, `{}`} {
		_, err := fields.Decimal(json.RawMessage(raw))
		require.ErrorContains(t, err, "number", raw)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(`{"k":"2026-11-19"}`)
	f.Add(`{"k":[1,null,{}]}`)
	f.Add(`{"k":1e9}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := fields.Of(json.RawMessage(body))
		if err != nil {
			return
		}
		if at := r.Time("k"); at.Location() != time.UTC {
			t.Fatalf("%s is not in UTC", at)
		}
		r.Each("k", func(raw json.RawMessage) error {
			_, err := fields.Scalar(raw)
			return err
		})
		if d, err := fields.Decimal(json.RawMessage(body)); err == nil && len(d.String()) > 200+len(body) {
			t.Fatalf("%s is %d digits long", body, len(d.String()))
		}
		if r.Err() != nil && strings.Contains(r.Err().Error(), "\n") {
			t.Fatalf("an error of several lines: %q", r.Err())
		}
	})
}
