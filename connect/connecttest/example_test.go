package connecttest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// A purchase fails during a maintenance and is sent two more times afterwards: the
// vendor receives it once.
func ExampleSystem() {
	sys := connecttest.New(connecttest.Config{})
	server := httptest.NewServer(sys)
	defer server.Close()

	purchase := func() {
		body := strings.NewReader(
			`{"type":"purchase","asset":{"external_uid":"1c378bdd-9c8a-4566-be8a-bd90a51aa42a","external_id":"1000042"}}`)
		req, err := http.NewRequest(http.MethodPost, server.URL+"/public/v1/requests", body)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "ApiKey "+connecttest.DefaultKey)
		resp, err := server.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		fmt.Printf("%d, answered by Connect: %t\n", resp.StatusCode, resp.Header.Get("Connect-Version") != "")
	}

	sys.SetMaintenance(true)
	purchase()
	sys.SetMaintenance(false)
	purchase()
	purchase()

	for _, call := range sys.Changes() {
		fmt.Println(call.Seq, call.Origin, call.Type, call.Status)
	}
	fmt.Println("violations:", len(sys.Violations()))
	// Output:
	// 502, answered by Connect: false
	// 201, answered by Connect: true
	// 409, answered by Connect: true
	// 1 http purchase pending
	// 2 vendor purchase approved
	// violations: 0
}
