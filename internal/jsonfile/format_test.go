package jsonfile_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

type shop struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	address
	Items  []item         `json:"items"`
	Opened time.Time      `json:"opened,omitzero"`
	Limits map[string]int `json:"limits,omitempty"`
	Note   *string        `json:"note,omitempty"`
	secret string
}

type address struct {
	City string `json:"city,omitempty"`
}

type item struct {
	Name  string    `json:"name"`
	Price float64   `json:"price,omitempty"`
	Sold  bool      `json:"sold,omitempty"`
	Sizes [][]int16 `json:"sizes,omitempty"`
	Grade grade     `json:"grade,omitempty"`
}

type grade string

func (g *grade) UnmarshalText(text []byte) error {
	if len(text) != 1 {
		return errors.New("must be one letter")
	}
	*g = grade(text)
	return nil
}

var (
	shops = jsonfile.Format[shop]{Name: "shop", MaxBytes: 1000, Check: (*shop).check}
	kinds = jsonfile.Format[shop]{MaxBytes: 1000, Kind: "shop", Version: 2}
	nulls = jsonfile.Format[shop]{MaxBytes: 1000, AllowNull: true}
)

func (s *shop) check() error {
	s.secret = "checked"
	for i, item := range s.Items {
		switch item.Name {
		case "":
			return jsonfile.At("items", jsonfile.Errorf("["+string(rune('0'+i))+"]", "has no name"))
		case "cat":
			return jsonfile.At("items", jsonfile.Errorf("["+string(rune('0'+i))+"].name", "is not for sale"))
		case "dog":
			return errors.New("no dogs")
		}
	}
	return nil
}

// golden is the file of goldenShop.
//
//go:embed testdata/shop.json
var golden string

func goldenShop() shop {
	return shop{
		Kind: "shop", Version: 2, address: address{City: "\u202eRome"},
		Items:  []item{{Name: "<tea>", Price: 1.5, Sizes: [][]int16{{1}, {}}, Grade: "A"}},
		Opened: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Limits: map[string]int{"day": 3}, Note: new("fine"),
	}
}

func TestFormatReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, shops.Write(&b, goldenShop()))
	require.Equal(t, golden, b.String())
	path := filepath.Join(t.TempDir(), "shop.json")
	require.NoError(t, shops.WriteFile(path, goldenShop(), 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	want := goldenShop()
	for _, format := range []jsonfile.Format[shop]{shops, kinds, nulls} {
		want.secret = ""
		if format.Check != nil {
			want.secret = "checked"
		}
		got, err := format.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = format.Unmarshal([]byte("\ufeff" + golden))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestFormatReadNamesTheProblemAndItsPlace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", " \n", "is empty"},
		{"another encoding", "{\"city\":\"\xff\"}", "is not UTF-8: save it in that encoding"},
		{"no JSON", "{\n \"items\": [,",
			"line 2, column 12: is not JSON: invalid character ',' looking for beginning of value"},
		{"two values", "{}\n{}", "line 2, column 1: is not JSON: invalid character '{' after top-level value"},
		{"a cut file", "{\n\"items\": [", "line 2, column 10: is not JSON: unexpected end of JSON input"},
		{"too much", strings.Repeat(" ", 1001), "is larger than the limit of 1000 bytes: split it"},
		{"another top level", "[]", "line 1: the top level: must be an object in braces, is []"},
		{"null at the top level", "null", "line 1: the top level: must be an object in braces, is null"},
		{"an unknown key", "{\n\"items\": [{\"name\":\"a\"},\n{\"nam\":\"b\"}]}",
			`line 3: items[1]: unknown key "nam" (did you mean "name"?); known are name, price, sold, sizes, grade`},
		{"a key in another case", `{"City":"x"}`,
			`line 1: unknown key "City" (did you mean "city"?); known are kind, version, city, items, opened, limits, note`},
		{"an unexported field", `{"secret":"x"}`,
			`line 1: unknown key "secret"; known are kind, version, city, items, opened, limits, note`},
		{"a long key", `{"` + strings.Repeat("x\\n", 60) + `":1}`,
			`line 1: unknown key "` + strings.Repeat("x ", 20) +
				`…"; known are kind, version, city, items, opened, limits, note`},
		{"a key twice", "{\"city\":\"a\",\n\"city\":\"a\"}", `line 2: the key "city" is there twice: remove one`},
		{"a null", "{\n\n\"city\":null}", `line 3: city: must be text in quotes, is null`},
		{"a null for a pointer", `{"note":null}`, `line 1: note: must be text in quotes, is null`},
		{"a null for its own reader", `{"items":[{"grade":null}]}`, `line 1: items[0].grade: must not be null`},
		{"a null in a list", `{"items":[null]}`, `line 1: items[0]: must be an object in braces, is null`},
		{"a number for text", `{"city":7}`, `line 1: city: must be text in quotes, is 7`},
		{"text for a number", `{"items":[{"price":"7"}]}`, `line 1: items[0].price: must be a number, is "7"`},
		{"a large number", `{"items":[{"sizes":[[1],[1, 40000]]}]}`,
			`line 1: items[0].sizes[1][1]: must be a whole number, is 40000`},
		{"a long number", `{"version":` + strings.Repeat("1", 65) + `}`,
			`line 1: version: a number must have at most 64 characters, not 65`},
		{"a long number in an object", `{"limits":{"a":` + strings.Repeat("1", 65) + `}}`,
			`line 1: limits: byte 6: a number must have at most 64 characters, not 65`},
		{"a number for a flag", `{"items":[{"sold":1}]}`, `line 1: items[0].sold: must be true or false, is 1`},
		{"an object for a list", "{\"items\":\n{\"name\":\n\"a\"}}",
			`line 2: items: must be a list in square brackets, is {"name": "a"}`},
		{"a day for a time", `{"opened":"2026-11-01"}`,
			`line 1: opened: must be a time with its zone, such as 2026-11-01T00:00:00Z, is "2026-11-01"`},
		{"what its own reader refuses", `{"items":[{"grade":"AB"}]}`, `line 1: items[0].grade: must be one letter`},
		{"an object for a map", `{"limits":[]}`, `line 1: limits: must be an object in braces, is []`},
		{"a failed check of a missing key", "{\n\"items\": [\n{\"name\":\"a\"},\n {\"price\":1\n}]}",
			`line 4: items[1]: has no name`},
		{"a failed check of a key", "{\n\"items\": [\n{\"name\":\"a\"},\n {\"price\":1,\n\"name\" :\n\"cat\"\n}]}",
			`line 6: items[1].name: is not for sale`},
		{"a failed check of the whole", `{"items":[{"name":"dog"}]}`, `no dogs`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "shop.json")
			require.NoError(t, os.WriteFile(path, []byte(tc.in), 0o600))
			got, err := shops.ReadFile(path)
			require.EqualError(t, err, "shop: "+path+": "+tc.want)
			require.Zero(t, got)
			_, err = shops.Read(strings.NewReader(tc.in))
			require.EqualError(t, err, "shop: "+tc.want)
		})
	}
	_, err := shops.ReadFile(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = shops.Read(iotest.ErrReader(fs.ErrClosed))
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestFormatReadChecksKindAndVersionFirst(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{}`:                                `is another kind of file: "kind" is "", not "shop"`,
		`{"kind":"pub","version":2}`:        `is another kind of file: "kind" is "pub", not "shop"`,
		`[]`:                                `is another kind of file: "kind" is "", not "shop"`,
		`{"kind":"shop","version":3,"x":1}`: `has version 3, this library reads version 2`,
		`{"kind":"shop","version":"2"}`:     `has version 0, this library reads version 2`,
		`{"kind":"shop","version":2,"x":1}`: `line 1: unknown key "x"; known are kind, version, city, items, opened, ` +
			`limits, note`,
		`{"kind":"a\u0000b","version":2}`:    `is another kind of file: "kind" is "a` + "\ufffd" + `b", not "shop"`,
		`{"kind":1,"kind":"shop","items":1}`: `has version 0, this library reads version 2`,
	} {
		_, err := kinds.Read(strings.NewReader(in))
		require.EqualError(t, err, want, in)
	}
}

func TestFormatReadTreatsNullAsAMissingKeyWhereAllowed(t *testing.T) {
	t.Parallel()
	got, err := nulls.Read(strings.NewReader(`{"city":null,"items":null,"note":null,"opened":null,"limits":null}`))
	require.NoError(t, err)
	require.Zero(t, got)
	_, err = nulls.Read(strings.NewReader(`{"city":null,"city":"x"}`))
	require.ErrorContains(t, err, `the key "city" is there twice`)
	_, err = nulls.Read(strings.NewReader(`null`))
	require.ErrorContains(t, err, "must be an object")
}

func TestFormatWriteWritesNothingThatItWouldNotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	for want, bad := range map[string]shop{
		"shop: items[0]: has no name":                            {Items: []item{{}}},
		"shop: is larger than the limit of 1000 bytes: split it": {address: address{City: strings.Repeat("x", 1000)}},
	} {
		var b bytes.Buffer
		require.EqualError(t, shops.Write(&b, bad), want)
		require.Zero(t, b.Len())
		require.EqualError(t, shops.WriteFile(path, bad, 0o600), want)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "old", string(data))
	}
}

// FuzzRead compares with encoding/json, which accepts more, but never reads another value.
func FuzzRead(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"items":[{"name":null,"sizes":[[1],null]}],"note":"x","opened":null}`))
	f.Add([]byte("{\"city\" : \"\\ud800\",\n\"City\":1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range []jsonfile.Format[shop]{{MaxBytes: 1 << 20}, {MaxBytes: 1 << 20, AllowNull: true}} {
			got, err := format.Read(bytes.NewReader(data))
			if err != nil {
				require.NotContains(t, err.Error(), "\n")
				require.Zero(t, got)
				continue
			}
			var want shop
			require.NoError(t, json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &want))
			require.Equal(t, want, got)
			got.Items = append([]item{}, got.Items...)
			var again bytes.Buffer
			require.NoError(t, format.Write(&again, got))
			back, err := format.Read(&again)
			require.NoError(t, err)
			require.Len(t, back.Items, len(got.Items))
		}
	})
}
