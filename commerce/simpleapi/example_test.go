package simpleapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jarcoal/httpmock"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

// exampleServer stands in for the gateway.
func exampleServer() simpleapi.Option {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodPost, base+"/token",
		httpmock.NewStringResponder(200, `{"token":"t","expiresInSeconds":1500}`))
	mock.RegisterResponder(http.MethodGet, base+"/orders", func(r *http.Request) (*http.Response, error) {
		fmt.Println(r.URL.RawQuery)
		return httpmock.NewStringResponse(200, `{"data":[
			{"id":"1000028","orderNumber":"CH000003","type":"change","status":"error","statusCode":"PF","creationDate":"2026-11-19T12:00:00Z"},
			{"id":"1000027","orderNumber":"SO000027","type":"sales","status":"error","statusCode":"PF","creationDate":"2026-11-19T10:00:00Z"}
		],"pagination":{"offset":0,"limit":100,"total":2}}`), nil
	})
	refusal := httpmock.NewStringResponder(400, `{"message":"No entity has been found"}`)
	mock.RegisterResponder(http.MethodPatch, base+"/orders/7", refusal.HeaderSet(http.Header{"X-Correlation-Id": {"c-1"}}))
	return simpleapi.WithHTTPClient(&http.Client{Transport: mock})
}

func ExampleClient_Orders() {
	auth := simpleapi.GatewayToken("subscription key",
		simpleapi.GatewayLogin{User: "api", Password: "password", Marketplace: "us"})
	client, err := simpleapi.New(base, auth, exampleServer())
	if err != nil {
		fmt.Println(err)
		return
	}
	for order, err := range client.Orders(context.Background(), commerce.FailedOrdersView().Query()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(order.Number, order.Type, order.Status)
	}
	// Output:
	// limit=100&offset=0&status=error&statusCode=PF
	// limit=100&offset=1&status=error&statusCode=PF
	// SO000027 SO PF
	// CH000003 CH PF
}

func ExampleClient_Push() {
	client, err := simpleapi.New(base, simpleapi.Token("subscription key", "token"), exampleServer())
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Push(context.Background(), "7", commerce.StatusPaid)
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		fmt.Println(e.Delivery, e.CorrelationID, errors.Is(err, commerce.ErrNotFound))
	}
	// Output: refused c-1 true
}

func ExampleClient_Capabilities() {
	client, err := simpleapi.New(base, simpleapi.Token("subscription key", "token"), exampleServer())
	if err != nil {
		fmt.Println(err)
		return
	}
	if caps := client.Capabilities(); !caps.Failure && !caps.Transitions {
		fmt.Println("look in Connect, name the orders, and say which status resubmits them")
	}
	// Output: look in Connect, name the orders, and say which status resubmits them
}
