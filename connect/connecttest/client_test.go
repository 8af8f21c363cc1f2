package connecttest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func newClock() *testkit.Clock { return testkit.NewClock(time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC)) }

type reply struct{ testkit.Reply }

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.Body), &object), r.Body)
	return object
}

func (r reply) ids(t *testing.T) []string {
	t.Helper()
	var rows []struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.Body), &rows), r.Body)
	ids := []string{}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// caller makes plain HTTP calls to a System.
type caller struct {
	t    *testing.T
	base string
	key  string
	http *http.Client
}

func serve(t *testing.T, sys *connecttest.System) caller {
	t.Helper()
	server := httptest.NewServer(sys)
	t.Cleanup(server.Close)
	return caller{t: t, base: server.URL + "/public/v1", key: "ApiKey " + connecttest.DefaultKey, http: server.Client()}
}

func inMemory(t *testing.T, sys *connecttest.System) caller {
	t.Helper()
	return caller{t: t, base: "https://connect.test/public/v1", key: "ApiKey " + connecttest.DefaultKey,
		http: &http.Client{Transport: sys.Transport()}}
}

func (c caller) try(method, path, body string) (reply, error) {
	header := map[string]string{"Content-Type": "application/json"}
	if c.key != "" {
		header["Authorization"] = c.key
	}
	r, err := testkit.Send(c.t.Context(), c.http, method, c.base+path, body, header)
	return reply{r}, err
}

func (c caller) do(method, path, body string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body)
	require.NoError(c.t, err)
	return r
}

func (c caller) get(path string) reply { c.t.Helper(); return c.do(http.MethodGet, path, "") }

// find gets a list with an RQL query, which it escapes.
func (c caller) find(path, query string) reply {
	c.t.Helper()
	return c.get(path + "?" + rql.Escape(query))
}

func (c caller) post(path, body string) reply { c.t.Helper(); return c.do(http.MethodPost, path, body) }

func order(kind, uid string) string {
	return `{"type":"` + kind + `","asset":{"external_uid":"` + uid + `","external_id":"1000042",
		"product":{"id":"PRD-403-038-754","name":"Demo"},"items":[{"id":"PRD-403-038-754-0001","mpn":"M1","quantity":5}]}}`
}

// create posts a request that must be accepted and returns its id.
func (c caller) create(kind, uid string) string {
	c.t.Helper()
	r := c.post("/requests", order(kind, uid))
	require.Equal(c.t, http.StatusCreated, r.Status, r.Body)
	id, ok := r.object(c.t)["id"].(string)
	require.True(c.t, ok)
	return id
}

func (c caller) requireProblem(r reply, status int, code, text string) {
	c.t.Helper()
	require.Equal(c.t, status, r.Status, r.Body)
	object := r.object(c.t)
	require.Equal(c.t, code, object["error_code"])
	errs, ok := object["errors"].([]any)
	require.True(c.t, ok)
	require.Len(c.t, errs, 1)
	require.Contains(c.t, errs[0], text)
}

// leave is a vendor that never acts.
func leave(connecttest.PendingRequest) connecttest.VendorAnswer { return connecttest.VendorAnswer{} }
