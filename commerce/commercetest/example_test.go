package commercetest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

// An order fails because Connect does not answer, and is pushed too early, which is a
// violation.
func Example() {
	now := time.Date(2026, 3, 7, 2, 0, 0, 0, time.UTC)
	sys, err := commercetest.New(commercetest.Config{Now: func() time.Time { return now }})
	if err != nil {
		fmt.Println(err)
		return
	}
	order := sys.Place(commercetest.OrderSpec{Type: commerce.TypeSales})
	if err := sys.Step(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	order, _ = sys.Order(order.ID)
	fmt.Println(order.Number, order.Status, "offers", order.Transitions)

	base, err := sys.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sys.Close() }()
	fmt.Println(list(base))

	now = now.Add(time.Minute)
	pushOrder(base, order.ID)
	for _, v := range sys.Violations() {
		fmt.Println(v)
	}
	// Output:
	// SO000001 PF offers [CL PD]
	// 200 OK
	// F9: SO000001: pushed while its stale event is still scheduled, for another 3m0s
}

func list(base string) string {
	return send(http.MethodGet, base+"/aps/2/services/order-manager/orders?in(status,(PF)),sort(-orderDate)", nil)
}

func pushOrder(base, id string) {
	send(http.MethodPost, base+"/aps/2/services/order-manager/orders/"+id+"/push", strings.NewReader(`{"ofStatus":"PD"}`))
}

func send(method, url string, body io.Reader) string {
	r, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("APS-Token", commercetest.DefaultToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	return res.Status
}

// One System serves all APIs, so that their clients see the same orders.
func ExampleURLsAt() {
	sys, err := commercetest.New(commercetest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	base, err := sys.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sys.Close() }()
	urls := commercetest.URLsAt(base)
	for _, url := range []string{urls.OrderManager, urls.Billing, urls.Operations, urls.SimpleAPI, urls.Keycloak} {
		fmt.Println("BASE" + strings.TrimPrefix(url, base))
	}
	// Output:
	// BASE
	// BASE/billing
	// BASE/operations
	// BASE/simple
	// BASE/auth
}
