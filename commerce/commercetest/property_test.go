package commercetest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// TestLedgerAgreesWithOrders performs orders, outages, pushes and time in random order.
func TestLedgerAgreesWithOrders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := newClock()
		connect := &fakeConnect{now: now.Now}
		cfg := through(testkit.Transport(connect))
		cfg.Now, cfg.Seed = now.Now, 1
		sys := newSystem(t, cfg)
		types := []commerce.OrderType{"SO", "CH", "CL", "CF", "RN", "BO", "UG"}
		pick := func(t *rapid.T) string {
			if all := sys.Orders(); len(all) > 0 {
				return rapid.SampledFrom(all).Draw(t, "order").ID
			}
			return "nobody"
		}
		t.Repeat(map[string]func(*rapid.T){
			"place": func(t *rapid.T) {
				sys.Place(commercetest.OrderSpec{
					Type: rapid.SampledFrom(types).Draw(t, "type"), Subscription: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t,
						"subscription"),
				})
			},
			"push": func(t *rapid.T) {
				push(sys, pick(t), rapid.SampledFrom([]commerce.Status{"PD", "PR", "RB", "CL"}).Draw(t, "to"))
			},
			"mark":   func(t *rapid.T) { _ = sys.MarkFailed(pick(t), "by hand") }, // fails for orders that are not in progress
			"outage": func(*rapid.T) { connect.set(func(f *fakeConnect) { f.down = !f.down }) },
			"vendor": func(t *rapid.T) {
				connect.all(rapid.SampledFrom([]string{"approved", "failed", "pending"}).Draw(t, "status"), "no")
			},
			"wait": func(t *rapid.T) { now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "s")) * time.Second) },
			"step": func(t *rapid.T) { require.NoError(t, sys.Step(t.Context())) },
			"": func(t *rapid.T) {
				accepted := 0
				for _, c := range sys.Pushes() {
					if c.Accepted {
						accepted++
					}
				}
				for _, o := range sys.Orders() {
					accepted -= o.Pushes
					require.LessOrEqual(t, o.Pushes, o.Failures)
					failed := o.Status == commerce.StatusProvisioningFailed
					require.Equal(t, failed, len(o.Transitions) == 2)
					require.Equal(t, failed, o.Failure != "")
					require.Equal(t, o.Failures == 0, o.FailedAt.IsZero())
				}
				require.Zero(t, accepted)
				require.False(t, slices.ContainsFunc(sys.Violations(), func(v commercetest.Violation) bool {
					return v.Rule == commercetest.RulePushedOnce
				}), "an order takes one push per failure")
			},
		})
	})
}

func push(sys *commercetest.System, id string, to commerce.Status) *httptest.ResponseRecorder {
	return serve(sys, http.MethodPost, orders+"/"+id+"/push", "", `{"ofStatus":"`+string(to)+`"}`)
}

// serve calls the system without a socket.
func serve(sys http.Handler, method, path, query, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("APS-Token", commercetest.DefaultToken)
	w := httptest.NewRecorder()
	sys.ServeHTTP(w, r)
	return w
}

func failedOrder(tb testing.TB) (*commercetest.System, string) {
	tb.Helper()
	sys := newSystem(tb, commercetest.Config{StaleEventFor: -1})
	o := sys.Place(commercetest.OrderSpec{})
	require.NoError(tb, sys.Step(tb.Context()))
	return sys, o.ID
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"in(status,(PF,LO)),sort(-orderDate),limit(0,100)", "like(orderNumber,*SO?1)", "not(eq(type,SO))",
		"limit(9223372036854775807,2)",
		"or(eq(status,PF),ge(orderDate,2026-11-01))", "select(orderDetails)", "in(status,())", "sort()", "eq(a,%zz)",
	} {
		f.Add(seed)
	}
	sys, _ := failedOrder(f)
	f.Fuzz(func(t *testing.T, query string) {
		w := serve(sys, http.MethodGet, orders, query, "")
		require.Contains(t, []int{http.StatusOK, http.StatusPartialContent, http.StatusBadRequest}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
	})
}

func FuzzPush(f *testing.F) {
	for _, seed := range []string{`{"ofStatus":"PR"}`, `{"ofStatus":""}`, `{}`, `[]`, `{"ofStatus":"XX"} `, "\xff",
		`{"ofStatus":null}`} {
		f.Add(seed)
	}
	sys, id := failedOrder(f)
	f.Fuzz(func(t *testing.T, body string) {
		w := serve(sys, http.MethodPost, orders+"/"+id+"/push", "", body)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusConflict}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
	})
}

func FuzzAnswersOfConnect(f *testing.F) {
	f.Add(201, `{"id":"PR-1"}`)
	f.Add(409, `{"params":{"request_status":"failed","fail_message":"no"}}`)
	f.Add(200, `[{"id":"PR-1","status":"approved"}]`)
	f.Add(400, `{"errors":["no listing"]}`)
	f.Add(200, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			status = 200
		}
		now := newClock()
		answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/impersonate") {
				return
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // some statuses allow no body
		})
		cfg := through(testkit.Transport(answer))
		cfg.Now, cfg.PollInterval = now.Now, time.Second
		sys := newSystem(t, cfg)
		for _, typ := range []commerce.OrderType{"SO", "CH", "CL"} {
			sys.Place(commercetest.OrderSpec{Type: typ})
		}
		for range 3 {
			require.NoError(t, sys.Step(t.Context()))
			now.Add(time.Second)
		}
		for _, o := range sys.Orders() {
			require.Contains(t, []commerce.Status{"PR", "PF", "CP"}, o.Status)
			require.Equal(t, o.Status == "PF", o.Failure != "")
		}
	})
}

// BenchmarkReadPushRead is the work of the system for one resubmission, without sockets.
func BenchmarkReadPushRead(b *testing.B) {
	sys := newSystem(b, commercetest.Config{StaleEventFor: -1})
	next := 0
	var placed []commercetest.Order
	for b.Loop() {
		if next == len(placed) {
			b.StopTimer()
			placed, next = nil, 0
			for range 1000 {
				placed = append(placed, sys.Place(commercetest.OrderSpec{}))
			}
			require.NoError(b, sys.Step(b.Context()))
			b.StartTimer()
		}
		id := placed[next].ID
		next++
		serve(sys, http.MethodGet, orders+"/"+id, "", "")
		push(sys, id, commerce.StatusPaid)
		serve(sys, http.MethodGet, orders+"/"+id, "", "")
	}
}
