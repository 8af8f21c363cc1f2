package statuspage_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
)

func Example() {
	transport := httpmock.NewMockTransport() // in the place of a page
	transport.RegisterResponder(http.MethodGet, "https://status.example.com/api/v2/scheduled-maintenances.json",
		httpmock.NewStringResponder(http.StatusOK, `{
			"page": {"time_zone": "Europe/Berlin"},
			"scheduled_maintenances": [
				{"id": "m1", "name": "Connect upgrade", "status": "scheduled",
				 "scheduled_for": "2026-01-10T02:00:00.000Z", "scheduled_until": "2026-01-10T05:00:00.000Z"},
				{"id": "m2", "name": "New data centre", "status": "scheduled",
				 "scheduled_for": "2026-02-01T00:00:00.000Z", "scheduled_until": "2026-03-13T00:00:00.000Z"}
			]}`))
	page, err := statuspage.New("https://status.example.com",
		statuspage.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	windows, err := page.Windows(context.Background(), from, from.AddDate(1, 0, 0))
	warnings, failure := maintenance.SplitWarnings(err)
	fmt.Println(windows, failure)
	for _, w := range warnings {
		fmt.Println(w.WindowID, w.Kind)
	}
	// Output:
	// [m1 "Connect upgrade": 2026-01-10 03:00 CET to 2026-01-10 06:00 CET] <nil>
	// m2 windows may be missing
}
