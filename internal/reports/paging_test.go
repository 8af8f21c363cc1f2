package reports

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
)

// ImmediatePlatform/Immediate.Jobs#57, LanternOps/breeze#3462: orders of the same second, which the server sorts
// by that time alone, so that they come in another order with each page. A complete list or an error is right.
func TestImmediateJobs57Ties(t *testing.T) {
	lost := 0
	for seed := range 20 {
		all := orders(30, sameSecond)
		base, _ := pages(t, func(n int, query string) []string {
			if strings.Contains(query, "orderId") || strings.Contains(query, "orderNumber") || strings.Contains(query, "id)") {
				return all // a sort that ties nowhere
			}
			return shuffled(all, seed*1000+n)
		}, 100)
		ids, err := listed(t, orderClient(t, base, ordermanager.WithPageSize(7)), commerce.Query{})
		if err == nil && len(ids) != 30 {
			lost++
			t.Logf("seed %d: %d of 30 orders, and no error", seed, len(ids))
		}
	}
	if lost > 0 {
		t.Errorf("%d of 20 lists were short without a word", lost)
	}
}

// The same when only two orders of the same second swap places at a page's edge.
func TestImmediateJobs57OneSwap(t *testing.T) {
	for edge := 5; edge < 9; edge++ {
		all := orders(20, func(i int) string { return fmt.Sprintf("2026-11-21T02:%02d:00Z", i) })
		base, _ := pages(t, func(n int, _ string) []string {
			now := slices.Clone(all)
			if n%2 == 0 {
				now[edge], now[edge+1] = now[edge+1], now[edge]
			}
			return now
		}, 100)
		ids, err := listed(t, orderClient(t, base, ordermanager.WithPageSize(7)), commerce.Query{})
		if err == nil && len(ids) != 20 {
			t.Errorf("edge %d: %d of 20 orders, and no error", edge, len(ids))
		}
	}
}

// LanternOps/breeze#3462: orders that leave the list while it is walked, because they are healed.
func TestBreeze3462RowsLeave(t *testing.T) {
	all := orders(60, func(i int) string { return fmt.Sprintf("2026-11-21T02:%02d:00Z", i) })
	base, _ := pages(t, func(n int, _ string) []string { return all[min(3*(n-1), 20):] }, 100)
	ids, err := listed(t, orderClient(t, base, ordermanager.WithPageSize(10)), commerce.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 20; i < 60; i++ {
		if id := fmt.Sprintf("id-%03d", i); !slices.Contains(ids, id) {
			t.Errorf("%s was in the list all the time and is missing", id)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		t.Error("an order came twice")
	}
}

// cloudflare/cloudflare-go#1247: a server that ignores which page is asked for.
func TestCloudflareGo1247SamePageForever(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "["+strings.Join(orders(10, sameSecond), ",")+"]")
	})
	ids, err := listed(t, orderClient(t, s.URL, ordermanager.WithPageSize(10)), commerce.Query{})
	if err == nil || len(ids) != 10 {
		t.Errorf("%d orders, %v", len(ids), err)
	}
}

// digitalocean/doctl#84, jangraefen/hcloud-pricing-exporter#124: a server that caps pages below what is asked for.
func TestDoctl84CappedPages(t *testing.T) {
	all := orders(55, func(i int) string { return fmt.Sprintf("2026-11-21T02:%02d:00Z", i) })
	for _, most := range []int{1, 2, 3, 20} {
		base, _ := pages(t, func(int, string) []string { return all }, most)
		ids, err := listed(t, orderClient(t, base, ordermanager.WithPageSize(50)), commerce.Query{})
		if most == 1 && err == nil && len(ids) < 55 {
			t.Errorf("pages of 1: %d orders and no error", len(ids))
		} else if most > 1 && (err != nil || len(ids) != 55) {
			t.Errorf("pages of %d: %d orders, %v", most, len(ids), err)
		}
	}
}

// camunda/camunda#43728: what the server gives beyond the filter is not taken.
func TestCamunda43728FilterIgnored(t *testing.T) {
	all := []string{orderJSON("id-1", "PF", "2026-11-21T02:00:00Z"), orderJSON("id-2", "CP", "2026-11-21T02:00:00Z"),
		orderJSON("id-3", "PF", "2020-01-01T00:00:00Z")}
	base, _ := pages(t, func(int, string) []string { return all }, 100)
	ids, err := listed(t, orderClient(t, base),
		commerce.Query{Statuses: []commerce.Status{"PF"}, PlacedFrom: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil || !slices.Equal(ids, []string{"id-1"}) {
		t.Errorf("%v, %v", ids, err)
	}
}

// One row that cannot be read must neither hide the others nor go missing: it comes with what is wrong with it.
func TestExtraOneBadRow(t *testing.T) {
	all := []string{
		orderJSON("id-1", "PF", "2026-11-21T02:00:00Z"), orderJSON("id-2", "PF", "yesterday"), orderJSON("id-3", "PF",
			"2026-11-21T02:00:00Z"),
	}
	base, _ := pages(t, func(int, string) []string { return all }, 100)
	problems := map[string]string{}
	for o, err := range orderClient(t, base).Orders(within(t, 10*time.Second), commerce.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		problems[o.ID] = strings.Join(o.Problems, "; ")
	}
	if len(problems) != 3 || problems["id-1"] != "" || problems["id-3"] != "" ||
		!strings.Contains(problems["id-2"], "yesterday") {
		t.Errorf("%q", problems)
	}
}

// vmware-archive/pyvcloud#711: what the filters of a query look like on the wire.
func TestPyvcloud711PlusAndSpaces(t *testing.T) {
	var got string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.RawQuery; _, _ = io.WriteString(w, "[]") })
	_, err := listed(t, orderClient(t, s.URL), commerce.Query{NumberLike: "SO+1 (a,b)*"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := url.PathUnescape(got)
	if err != nil || !strings.Contains(got, "SO%2B1%20%28a%2Cb%29*") {
		t.Errorf("%s (%s) %v", got, plain, err)
	}
}

// contentful/contentful-batch-libs#96: fifty keys in another script, where each letter takes six bytes in a URL.
func TestContentful96FiftyLongKeys(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "items 0-0/0")
		_, _ = io.WriteString(w, "[]")
	})
	var keys []connect.RequestKey
	for i := range 50 {
		keys = append(keys, connect.RequestKey{Type: connect.TypePurchase,
			SubscriptionID: fmt.Sprintf("Подписка-на-облачную-телефонию-и-почту-%04d", i)})
	}
	found, err := connectClient(t, s.URL).LatestRequests(within(t, 10*time.Second), keys)
	if len(found) != 50 {
		t.Errorf("%d of 50 keys were answered: %.300v", len(found), err)
	}
}

// supabase/postgrest-py#477, wazuh/wazuh#5434: values with everything in them, by what the server gets.
func TestPostgrestPy477Values(t *testing.T) {
	for _, value := range []string{"a,b", "a(b)", `a"b`, "a'b", "a&b=c", "a b", "a+b", "50%", "ä", "a\\b", "a*b", "null",
		"-5", ".5", "#1"} {
		var got string
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.URL.RawQuery
			w.Header().Set("Content-Range", "items 0-0/0")
			_, _ = io.WriteString(w, "[]")
		})
		c := connectClient(t, s.URL)
		for _, err := range c.Requests(within(t, 5*time.Second), connect.RequestQuery{Subscriptions: []string{value}}) {
			if err != nil {
				t.Errorf("%q: %v", value, err)
			}
		}
		plain, err := url.PathUnescape(got)
		if err != nil {
			t.Errorf("%q: %v", value, err)
		}
		ok := false
		for _, q := range []string{"", `"`, "'"} {
			ok = ok || strings.Contains(plain, "eq(asset.external_id,"+q+value+q+")")
		}
		if !ok {
			t.Errorf("%q: the server reads %s", value, plain)
		}
		if strings.ContainsAny(value, "&#") && strings.Contains(got, value) {
			t.Errorf("%q splits the query %s", value, got)
		}
	}
}

// cloudblue/django-rql#1 and its kin: conditions as people write them, by what the server reads.
func TestDjangoRql1Conditions(t *testing.T) {
	for text, right := range map[string]string{
		"ilike(asset.tiers.customer.name,*acme corp*)": "ilike(asset.tiers.customer.name,*acme corp*)",
		`like(name,"*50%, (a)*")`:                      `like(name,"*50%, (a)*")`,
		"in(id,(PR-1,PR-2))":                           "in(id,(PR-1,PR-2))",
		"eq(reason,null())":                            "eq(reason,null())",
		"ne(reason,empty())":                           "ne(reason,empty())",
		"created=ge=2026-11-01T00:00:00+02:00":         "ge(created,2026-11-01T00:00:00+02:00)",
		"(type=purchase|type=change)":                  "or(eq(type,purchase),eq(type,change))",
		"not(eq(type,purchase))":                       "not(eq(type,purchase))",
		`eq(name,'it "is"')`:                           `eq(name,'it "is"')`,
	} {
		var got string
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.URL.RawQuery
			w.Header().Set("Content-Range", "items 0-0/0")
			_, _ = io.WriteString(w, "[]")
		})
		c := connectClient(t, s.URL, connect.WithFilterFields("name", "reason", "asset.tiers.customer.name"))
		for _, err := range c.Requests(within(t, 5*time.Second), connect.RequestQuery{RQL: text}) {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		plain, err := url.PathUnescape(got)
		if err != nil || !strings.Contains(strings.ReplaceAll(plain, `"`, ""), strings.ReplaceAll(right, `"`, "")) {
			t.Errorf("%s: the server reads %s", text, plain)
		}
		if strings.Contains(got, "+") {
			t.Errorf("%s: a plus sign on the wire: %s", text, got)
		}
	}
	for _, text := range []string{"in(id,())", "ordering(-created)", "limit=5", "eq(a,1)|eq(b,2)", "eq(a", "like(name,)"} {
		var n atomic.Int32
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { n.Add(1); _, _ = io.WriteString(w, "[]") })
		bad := false
		for _, err := range connectClient(t, s.URL).Requests(within(t, 5*time.Second), connect.RequestQuery{RQL: text}) {
			bad = bad || err != nil
		}
		if !bad || n.Load() != 0 {
			t.Errorf("%s was sent", text)
		}
	}
}

// ImmediatePlatform/Immediate.Jobs#57 in Connect: the newest requests of keys, of which many were created in one
// second.
func TestImmediateJobs57TiesInConnect(t *testing.T) {
	lost := 0
	for seed := range 20 {
		var all []string
		var keys []connect.RequestKey
		for i := range 30 {
			all = append(all, requestJSON(fmt.Sprintf("PR-%03d", i), fmt.Sprint(1000+i), "2026-11-21T02:00:00+00:00"))
			keys = append(keys, connect.RequestKey{Type: connect.TypePurchase, SubscriptionID: fmt.Sprint(1000 + i)})
		}
		n := 0
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			n++
			rows := all
			plain, _ := url.PathUnescape(r.URL.RawQuery)
			if !strings.Contains(plain, "created,id") && !strings.Contains(plain, "created,-id") {
				rows = shuffled(all, seed*1000+n)
			}
			var limit, offset int
			for part := range strings.SplitSeq(plain, "&") {
				if v, ok := strings.CutPrefix(part, "limit="); ok {
					limit, _ = strconv.Atoi(v)
				}
				if v, ok := strings.CutPrefix(part, "offset="); ok {
					offset, _ = strconv.Atoi(v)
				}
			}
			page := rows[min(offset, 30):min(30, offset+limit)]
			w.Header().Set("Content-Range", fmt.Sprintf("items %d-%d/30", offset, offset+len(page)-1))
			_, _ = io.WriteString(w, "["+strings.Join(page, ",")+"]")
		})
		found, err := connectClient(t, s.URL, connect.WithPageSize(7)).LatestRequests(within(t, 10*time.Second), keys)
		if err != nil {
			continue // as good
		}
		none := 0
		for _, k := range keys {
			if newest, known := found[k]; known && len(newest) == 0 {
				none++
			}
		}
		if none > 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 20 look-ups say of orders that Connect has no request of them, though it has", lost)
	}
}

// SAP-cloud-infrastructure/hermez#367, strelov1/freehire#43: a total that is capped. Rows go on behind it. A complete
// list or an error is right.
func TestHermez367CappedTotal(t *testing.T) {
	for name, total := range map[string]func(offset, rows int) int{
		"cap":                func(int, int) int { return 10 },
		"counts its page":    func(_, rows int) int { return rows },
		"counts what it saw": func(offset, rows int) int { return offset + rows },
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			q, _ := url.ParseQuery(r.URL.RawQuery)
			offset, _ := strconv.Atoi(q.Get("offset"))
			limit, _ := strconv.Atoi(q.Get("limit"))
			var rows []string
			for i := offset; i < min(25, offset+limit); i++ {
				rows = append(rows, requestJSON(fmt.Sprintf("PR-%03d", i), fmt.Sprint(i),
					fmt.Sprintf("2026-11-21T02:00:%02d+00:00", i)))
			}
			w.Header().Set("Content-Range", fmt.Sprintf("items %d-%d/%d", offset, offset+len(rows)-1, total(offset, len(rows))))
			_, _ = io.WriteString(w, "["+strings.Join(rows, ",")+"]")
		})
		n := 0
		var bad error
		for _, err := range connectClient(t, s.URL, connect.WithPageSize(10)).Requests(within(t, 10*time.Second),
			connect.RequestQuery{}) {
			if err != nil {
				bad = err
				break
			}
			n++
		}
		if bad == nil && n != 25 {
			t.Errorf("%s: %d of 25 requests, and no error", name, n)
		}
	}
}
