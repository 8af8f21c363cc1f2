package failure_test

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

func ExampleAttributor() {
	order := &commerce.Order{
		PlacedAt: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC),
		Failure:  commerce.Failure{Messages: map[string]string{"en_US": "Reason: 502 Bad Gateway."}},
	}
	cal, err := maintenance.NewCalendar([]maintenance.Window{{
		ID: "november", Start: order.PlacedAt.Add(-time.Hour), End: order.PlacedAt.Add(time.Hour),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	a := failure.NewAttributor(failure.AttributorConfig{Calendar: cal}).Attribute(order)
	fmt.Println(a.Verdict, a.Class, a.WindowID)
	for _, e := range a.Evidence {
		fmt.Println("-", e.Text)
	}
	// Output:
	// caused transient november
	// - the reason is transient
	// - only the time of placing is known
	// - placed in the planned times of this window; the first call of such an order fails it
}

func ExampleClassifier_Classify() {
	c, err := failure.NewClassifier(failure.Pattern{
		ID: "acme-quota", Class: failure.Permanent, Match: []string{"quota exceeded"}, Source: "ticket 4711",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"502 Bad Gateway", "502 Bad Gateway: Quota exceeded", "order 502 of customer 503"} {
		class, pattern := c.Classify(text)
		fmt.Printf("%s %q\n", class, pattern.ID)
	}
	// Output:
	// transient "bad-gateway"
	// permanent "acme-quota"
	// unclassified ""
}
