package billing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
)

func Example() {
	system, _ := mock(shop) // in the place of a Billing that answers
	client, err := billing.New("https://billing.example.net:5224", billing.Basic("api", "secret"),
		billing.WithHTTPClient(system))
	if err != nil {
		fmt.Println(err)
		return
	}
	export := strings.NewReader(
		"Order ID,Order Number,Status\n1000001,SO000001,PF\n1000002,SO000002,PF\n1000003,SO000003,PF\n")
	view := commerce.FailedOrdersView()
	for order, err := range client.FromText(export).Orders(context.Background(), view.Query()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(order.ID, order.Number, order.Status, order.Total)
	}
	// Output:
	// 1000002 SO000002 PF 12.5 USD
	// 1000001 SO000001 PF 12.5 USD
}

func ExampleClient_Execute() {
	system, _ := mock(answers(200, fault("VGFibGUgQWNjb3VudCBkb2VzIG5vdCBjb250YWluIHJvdyB3aXRoIElEIDcu")))
	client, err := billing.New("https://billing.example.net:5224", billing.NoLogin(), billing.WithHTTPClient(system))
	if err != nil {
		fmt.Println(err)
		return
	}
	var account struct {
		ID   int
		Name string
	}
	err = client.Execute(context.Background(), billing.Call{Method: "AccountDetailsGet_API", Params: []any{7},
		ReadOnly: true}, &account)
	if fault, ok := errors.AsType[*commerce.Fault](err); ok {
		fmt.Println(fault.Message, errors.Is(err, commerce.ErrNotFound))
	}
	// Output: Table Account does not contain row with ID 7. true
}

func ExampleClient_SignedText() {
	system, _ := mock(answers(200, result(cells(map[int]any{12: "Sales order for Acme"}))))
	client, err := billing.New("https://billing.example.net:5224", billing.NoLogin(), billing.WithHTTPClient(system))
	if err != nil {
		fmt.Println(err)
		return
	}
	row, err := client.Row(context.Background(), "1000027")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.SignedText(row))
	// Output: 1000027SO0000271700000000USD 12.50Sales order for Acme <nil>
}
