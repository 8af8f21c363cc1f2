package commerce_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

var november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func TestFailedOrders(t *testing.T) {
	t.Parallel()
	v := commerce.FailedOrdersView()
	require.NoError(t, v.Validate())
	require.True(t, v.Match(&commerce.Order{Status: commerce.StatusProvisioningFailed, Type: commerce.TypeRenewal}))
	require.False(t, v.Match(&commerce.Order{Status: commerce.StatusLongRunning}))
	require.Equal(t, commerce.Query{Statuses: []commerce.Status{"PF"}}, v.Query())

	v.Statuses[0] = "XX"
	require.Equal(t, []commerce.Status{"PF"}, commerce.FailedOrdersView().Statuses, "nobody changes it for others")
}

func TestViewMatch(t *testing.T) {
	t.Parallel()
	v := commerce.View{
		Name: "n", Statuses: []commerce.Status{"PF", "LO"}, Types: []commerce.OrderType{"SO"},
		PlacedFrom: november, PlacedTo: november.AddDate(0, 1, 0), Sort: commerce.NewestFirst,
	}
	require.Equal(t, commerce.NewestFirst, v.Query().Sort)
	good := commerce.Order{Status: "LO", Type: "SO", PlacedAt: november}
	require.True(t, v.Match(&good))
	for name, change := range map[string]func(*commerce.Order){
		"status":  func(o *commerce.Order) { o.Status = "CP" },
		"type":    func(o *commerce.Order) { o.Type = "CH" },
		"before":  func(o *commerce.Order) { o.PlacedAt = november.Add(-1) },
		"at end":  func(o *commerce.Order) { o.PlacedAt = v.PlacedTo },
		"no time": func(o *commerce.Order) { o.PlacedAt = time.Time{} },
	} {
		o := good
		change(&o)
		require.False(t, v.Match(&o), name)
	}
}

func TestLoadViewsReadsSavedViews(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	views := []commerce.View{
		commerce.FailedOrdersView(),
		{Name: `Failed "sales"`, Statuses: []commerce.Status{"PF", "I4"}, Types: []commerce.OrderType{"SO"},
			PlacedFrom: november, PlacedTo: time.Date(2026, 12, 1, 0, 0, 0, 0, berlin), Sort: commerce.NewestFirst},
	}
	var saved bytes.Buffer
	require.NoError(t, commerce.SaveViews(&saved, views))
	path := filepath.Join(t.TempDir(), "views.json")
	require.NoError(t, os.WriteFile(path, saved.Bytes(), 0o600))
	back, err := commerce.LoadViewsFile(path)
	require.NoError(t, err)
	require.Len(t, back, 2)
	require.Equal(t, views[0], back[0])
	require.True(t, views[1].PlacedTo.Equal(back[1].PlacedTo))

	want, err := os.ReadFile("testdata/views.json")
	require.NoError(t, err)
	require.Equal(t, string(want), saved.String())
}

func TestSaveViewsRejectsInvalidViews(t *testing.T) {
	t.Parallel()
	var saved bytes.Buffer
	err := commerce.SaveViews(&saved, []commerce.View{commerce.FailedOrdersView(), commerce.FailedOrdersView()})
	require.EqualError(t, err,
		`commerce: views: views[1].name: "Failed Orders" is the name of views[0] too; names must differ`)
	require.ErrorContains(t, commerce.SaveViews(&saved, nil), "has no view")
	require.Zero(t, saved.Len())
	require.ErrorContains(t, commerce.SaveViews(brokenWriter{}, []commerce.View{commerce.FailedOrdersView()}), "disk full")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestLoadViewsErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "", "commerce: views: is empty"},
		{"not JSON", "views:", "line 1, column 1: is not JSON: invalid character 'v'"},
		{"another shape", "[]", `line 1: the top level: must be an object in braces, is []`},
		{"no views", "{}", "has no view"},
		{"an empty list of views", `{"views":[]}`, "has no view"},
		{"a typo at the top", `{"view":[]}`, `line 1: unknown key "view" (did you mean "views"?)`},
		{"a typo in a view", `{"views":[{"name":"a","statusses":["PF"]}]}`,
			`line 1: views[0]: unknown key "statusses" (did you mean "statuses"?)`},
		{"another case", `{"views":[{"Name":"a"}]}`, `line 1: views[0]: unknown key "Name" (did you mean "name"?)`},
		{"a key like no other", `{"views":[{"colour":"red"}]}`,
			"known are name, statuses, types, placedFrom, placedTo, sort"},
		{"a key twice", `{"views":[{"name":"a","name":"b"}]}`, `line 1: views[0]: the key "name" is there twice`},
		{"no name", `{"views":[{"statuses":["PF"]}]}`, `line 1: views[0]: view "": the name is empty`},
		{"a name of two lines", `{"views":[{"name":"a\nb","statuses":["PF"]}]}`,
			`line 1: views[0]: view "a\nb": the name has control characters`},
		{"no statuses", `{"views":[{"name":"a","statuses":[]}]}`, `line 1: views[0]: view "a": statuses is empty`},
		{"null statuses", `{"views":[{"name":"a","statuses":null}]}`,
			`line 1: views[0].statuses: must be a list in square brackets, is null`},
		{"a status alone", `{"views":[{"name":"a","statuses":"PF"}]}`,
			`line 1: views[0].statuses: must be a list in square brackets, is "PF"`},
		{"a code in small letters", `{"views":[{"name":"a","statuses":["pf"]}]}`,
			`statuses[0] is "pf": a code is made of capital letters`},
		{"two codes in one", `{"views":[{"name":"a","statuses":["PF"],"types":["SO","CH,CF"]}]}`, `types[1] is "CH,CF"`},
		{"a code twice", `{"views":[{"name":"a","statuses":["PF","PF"]}]}`, `statuses names "PF" twice`},
		{"a day without a zone", `{"views":[{"name":"a","placedFrom":"2026-11-01"}]}`,
			"line 1: views[0].placedFrom: must be a time with its zone, such as 2026-11-01T00:00:00Z, is \"2026-11-01\""},
		{"an end before its start",
			`{"views":[{"name":"a","statuses":["PF"],"placedFrom":"2026-11-02T00:00:00Z","placedTo":"2026-11-01T00:00:00Z"}]}`,
			"placedFrom 2026-11-02T00:00:00Z is not before placedTo 2026-11-01T00:00:00Z"},
		{"an unknown sort", `{"views":[{"name":"a","statuses":["PF"],"sort":"oldest"}]}`,
			`sort is "oldest": it can be "newest"`},
		{"the same name twice", `{"views":[{"name":"a","statuses":["PF"]},{"name":"a","statuses":["PF"]}]}`,
			`line 1: views[1].name: "a" is the name of views[0] too`},
		{"a missing end", `{"views":[{"name":"a","statuses":["PF"]}]`,
			"line 1, column 41: is not JSON: unexpected end of JSON input"},
		{"something after the end", `{"views":[{"name":"a","statuses":["PF"]}]} {}`,
			"line 1, column 44: is not JSON: invalid character '{' after top-level value"},
		{"too much", strings.Repeat(" ", 1<<20) + "{}", "is larger than the limit of 1048576 bytes: split it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			views, err := commerce.LoadViews(strings.NewReader(tc.in))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "\n")
			require.Nil(t, views)
		})
	}
	_, err := commerce.LoadViewsFile("testdata/missing.json")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzLoadViews(f *testing.F) {
	f.Add(`{"views":[{"name":"a","statuses":["PF"],"types":["SO"],"placedFrom":"2026-11-01T00:00:00Z"}]}`)
	f.Add(`{"views":[{"name":null}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		views, err := commerce.LoadViews(strings.NewReader(in))
		if err != nil {
			require.Nil(t, views)
			return
		}
		var out bytes.Buffer
		require.NoError(t, commerce.SaveViews(&out, views))
		back, err := commerce.LoadViews(&out)
		require.NoError(t, err)
		require.Len(t, back, len(views))
	})
}

func ExampleLoadViews() {
	views, err := commerce.LoadViews(
		strings.NewReader(`{"views":[{"name":"Stuck sales","statuses":["PF","LO"],"types":["SO"]}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(views[0].Name, views[0].Statuses)
	_, err = commerce.LoadViews(strings.NewReader(`{"views":[{"name":"Stuck sales","status":["PF"]}]}`))
	fmt.Println(err)
	// Output:
	// Stuck sales [PF LO]
	// commerce: views: line 1: views[0]: unknown key "status" (did you mean "statuses"?); known are name, statuses, types, placedFrom, placedTo, sort
}

func ExampleView() {
	view := commerce.FailedOrdersView()
	view.PlacedFrom = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	order := commerce.Order{Status: commerce.StatusProvisioningFailed, PlacedAt: view.PlacedFrom}
	fmt.Println(view.Match(&order))
	// Output: true
}
