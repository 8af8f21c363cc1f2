package rules_test

import (
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func ExampleDecide() {
	d := rules.Decide(nil, rules.Facts{
		Order:           &commerce.Order{Type: commerce.TypeSales},
		Attribution:     failure.Attribution{Class: failure.Transient},
		RequestsQueried: true,
		Requests: []connect.LatestRequest{{Request: connect.Request{
			ID: "PR-1-001", Type: connect.TypePurchase, Status: connect.StatusInquiring,
		}}},
	})
	fmt.Println(d.Action, d.RuleID)
	fmt.Println(d.Why)
	// Output:
	// resubmit connect-under-way
	// the request is in progress and the order will use it again; the customer has to act
}

func ExampleLoad() {
	rls, err := rules.Load(strings.NewReader(`{"rules": [
		{"id": "autodesk-busy", "reason": "*autodesk*try again later*", "action": "resubmit", "why": "Autodesk was busy"}
	]}`))
	fmt.Println(len(rls), err)
	_, err = rules.Load(strings.NewReader(`{"rules": [{"id": "a", "reason": "*", "action": "resend", "why": "b"}]}`))
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// rules: line 1: rules[0].action: unknown action "resend"; use one of complete, hold, manual, quarantine, resubmit, wait
}
