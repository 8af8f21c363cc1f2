package connect_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// exampleClient is connect.New("", connect.APIKey(os.Getenv("CONNECT_API_KEY"))),
// with a Connect in memory.
func exampleClient() *connect.Client {
	rows := []fakeRow{
		{id: "PR-1-001", kind: "purchase", status: "failed", created: epoch, asset: "AS-1", tenant: "tenant-1",
			subID: "1000042"},
		{id: "PR-1-002", kind: "purchase", status: "failed", created: epoch.Add(time.Hour), asset: "AS-1", tenant: "tenant-1",
			subID: "1000042"},
		{id: "PR-2-001", kind: "purchase", status: "inquiring", created: epoch.Add(2 * time.Hour), asset: "AS-2",
			tenant: "tenant-2", subID: "1000043"},
	}
	client, err := connect.New("", connect.APIKey(testKey),
		connect.WithHTTPClient(&http.Client{Transport: &fakeConnect{rows: rows}}))
	if err != nil {
		fmt.Println(err)
	}
	return client
}

func ExampleClient_Requests() {
	client := exampleClient()
	query := connect.RequestQuery{
		Statuses:    []connect.RequestStatus{connect.StatusFailed},
		CreatedFrom: time.Date(2026, 1, 10, 2, 30, 0, 0, time.UTC),
	}
	for request, err := range client.Requests(context.Background(), query) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(request.ID, request.Type, request.Status, request.Asset.ExternalID)
	}
	// Output: PR-1-002 purchase failed 1000042
}

func ExampleClient_CountRequests() {
	n, err := exampleClient().CountRequests(context.Background(), connect.RequestQuery{
		Types: []connect.RequestType{connect.TypePurchase},
	})
	fmt.Println(n, err)
	// Output: 3 <nil>
}

func ExampleClient_LatestRequests() {
	client := exampleClient()
	keys := []connect.RequestKey{
		{TenantID: "tenant-1", Type: connect.TypePurchase},
		{SubscriptionID: "1000043", Type: connect.TypePurchase},
		{TenantID: "tenant-3", Type: connect.TypePurchase},
	}
	found, err := client.LatestRequests(context.Background(), keys)
	if err != nil {
		fmt.Println(err) // says why keys are not in found
	}
	for _, key := range keys {
		requests, asked := found[key]
		if asked && len(requests) == 0 {
			fmt.Println(key.TenantID, "has no request: the order never reached Connect")
		}
		for _, n := range requests {
			fmt.Printf("%s %s, failed %d times in a row\n", n.Request.ID, n.Request.Status, n.FailedInRow)
		}
	}
	// Output:
	// PR-1-002 failed, failed 2 times in a row
	// PR-2-001 inquiring, failed 0 times in a row
	// tenant-3 has no request: the order never reached Connect
}

func ExampleClient_Probe() {
	probe, err := exampleClient().Probe(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(probe.Class, probe.Version)
	// Output: up 26.0.12-ga
}
