package commercetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func newClock() *testkit.Clock { return testkit.NewClock(time.Date(2026, 3, 7, 2, 0, 0, 0, time.UTC)) }

// fakeConnect is the part of Connect that provisioning calls.
type fakeConnect struct {
	now func() time.Time

	mu           sync.Mutex
	down         bool   // 502 with a page, for every call
	lookUpDown   bool   // 500 for GET only
	refuse       string // answer POST /requests with this body …
	refuseStatus int    // … and this status
	vendor       string // status of new requests; "" means pending
	reason       string // of failed ones
	requests     []*fakeRequest
	bodies       []string // of POST /requests
	keys         map[string]bool
}

type fakeRequest struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Created string `json:"created"`
	Updated string `json:"updated"`
	uid     string
}

func (f *fakeConnect) set(change func(*fakeConnect)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeConnect) all(status, reason string) {
	f.set(func(f *fakeConnect) {
		for _, r := range f.requests {
			r.Status, r.Reason = status, reason
		}
	})
}

func (f *fakeConnect) posted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.bodies...)
}

var uidAndType = regexp.MustCompile(`eq\(asset\.external_uid,([^)]+)\),eq\(type,([a-z]+)\)`)

func (f *fakeConnect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]bool{}
	}
	f.keys[r.Header.Get("Authorization")] = true
	switch {
	case f.down:
		http.Error(w, "<html>Bad Gateway</html>", http.StatusBadGateway)
	case strings.HasSuffix(r.URL.Path, "/impersonate"):
		_, _ = io.WriteString(w, `{"installation_api_key":"x"}`)
	case r.Method == http.MethodPost && r.URL.Path == "/public/v1/requests":
		f.create(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/public/v1/requests" && f.lookUpDown:
		http.Error(w, `{"error_code":"SYS_000"}`, http.StatusInternalServerError)
	case r.Method == http.MethodGet && r.URL.Path == "/public/v1/requests":
		f.list(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeConnect) create(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	f.bodies = append(f.bodies, string(data))
	if f.refuseStatus != 0 {
		w.WriteHeader(f.refuseStatus)
		_, _ = io.WriteString(w, f.refuse)
		return
	}
	var body struct {
		Type  string `json:"type"`
		Asset struct {
			UID string `json:"external_uid"`
		} `json:"asset"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i := len(f.requests) - 1; i >= 0; i-- {
		old := f.requests[i]
		if old.uid == body.Asset.UID && old.Type == body.Type && (body.Type == "purchase" || old.Status == "pending") {
			w.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprintf(w, `{"error_code":"REQ_000","params":{"request_id":%q,"request_status":%q,"fail_message":%q}}`,
				old.ID, old.Status, old.Reason)
			return
		}
	}
	f.add(body.Asset.UID, body.Type)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(f.requests[len(f.requests)-1])
}

func (f *fakeConnect) add(uid, typ string) {
	status := f.vendor
	if status == "" {
		status = "pending"
	}
	at := f.now().Format(time.RFC3339)
	f.requests = append(f.requests, &fakeRequest{
		ID: fmt.Sprintf("PR-0000-0000-0000-%03d", len(f.requests)+1), Type: typ, Status: status, Reason: f.reason,
		Created: at, Updated: at, uid: uid,
	})
}

func (f *fakeConnect) list(w http.ResponseWriter, r *http.Request) {
	m := uidAndType.FindStringSubmatch(r.URL.RawQuery)
	if m == nil {
		http.Error(w, `{"error_code":"VAL_001","errors":["query"]}`, http.StatusBadRequest)
		return
	}
	found := []*fakeRequest{}
	for i := len(f.requests) - 1; i >= 0; i-- {
		if f.requests[i].uid == m[1] && f.requests[i].Type == m[2] {
			found = append(found, f.requests[i])
		}
	}
	_ = json.NewEncoder(w).Encode(found)
}

// rig is a Commerce and a fake Connect on real sockets, with a clock that the test sets.
type rig struct {
	t       *testing.T
	clock   *testkit.Clock
	connect *fakeConnect
	sys     *commercetest.System
	base    string
}

func newRig(t *testing.T, change func(*commercetest.Config)) *rig {
	t.Helper()
	r := &rig{t: t, clock: newClock()}
	r.connect = &fakeConnect{now: r.clock.Now}
	r.start(r.connect, commercetest.Config{ConnectKey: "SU-1:secret", PollInterval: time.Minute}, change)
	return r
}

// start starts a Connect and the Commerce that calls it.
func (r *rig) start(connect http.Handler, cfg commercetest.Config, change func(*commercetest.Config)) {
	r.t.Helper()
	server := httptest.NewServer(connect)
	r.t.Cleanup(server.Close)
	cfg.ConnectURL, cfg.ConnectHTTP = server.URL+"/public/v1", server.Client()
	cfg.Now, cfg.Seed = r.clock.Now, 1
	if change != nil {
		change(&cfg)
	}
	r.sys = newSystem(r.t, cfg)
	var err error
	r.base, err = r.sys.Start()
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, r.sys.Close()) })
}

func newSystem(t require.TestingT, cfg commercetest.Config) *commercetest.System {
	sys, err := commercetest.New(cfg)
	require.NoError(t, err)
	return sys
}

// through is the configuration of a System that calls Connect through a transport.
func through(transport http.RoundTripper) commercetest.Config {
	return commercetest.Config{
		ConnectURL: "http://connect.example.com/public/v1", ConnectHTTP: &http.Client{Transport: transport},
	}
}

func (r *rig) step() {
	r.t.Helper()
	require.NoError(r.t, r.sys.Step(r.t.Context()))
}

func (r *rig) after(d time.Duration) {
	r.t.Helper()
	r.clock.Add(d)
	r.step()
}

func (r *rig) order(id string) commercetest.Order {
	r.t.Helper()
	o, ok := r.sys.Order(id)
	require.True(r.t, ok)
	return o
}

// failed places an order during an outage and waits until its stale event has ended.
func (r *rig) failed(n commercetest.OrderSpec) commercetest.Order {
	r.t.Helper()
	r.connect.set(func(f *fakeConnect) { f.down = true })
	o := r.sys.Place(n)
	r.step()
	r.connect.set(func(f *fakeConnect) { f.down = false })
	r.clock.Add(5 * time.Minute)
	o = r.order(o.ID)
	require.Equal(r.t, commerce.StatusProvisioningFailed, o.Status)
	return o
}

// call sends a request with the right token and returns the answer.
func (r *rig) call(method, path, body string) (int, string) {
	r.t.Helper()
	return r.callAs(commercetest.DefaultToken, method, path, body)
}

func (r *rig) callAs(token, method, path, body string) (int, string) {
	r.t.Helper()
	res, answer := r.send(method, path, body, map[string]string{"APS-Token": token})
	return res.Status, answer
}

// send makes a request and returns its response, and the body again.
func (r *rig) send(method, path, body string, header map[string]string) (testkit.Reply, string) {
	r.t.Helper()
	res, err := testkit.Send(r.t.Context(), http.DefaultClient, method, r.base+path, body, header)
	require.NoError(r.t, err)
	return res, res.Body
}

func (r *rig) push(id string, to commerce.Status) int {
	r.t.Helper()
	status, _ := r.call(http.MethodPost, "/aps/2/services/order-manager/orders/"+id+"/push",
		fmt.Sprintf(`{"ofStatus":%q}`, to))
	return status
}
