package resubmittest_test

import (
	"fmt"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Own rules and an own rate limit in simulated worlds. In your package, testRules is a test.
func ExampleSimulate() {
	testRules := func(t *testing.T) {
		resubmittest.Simulate(t, resubmittest.Config{
			Worlds: 20,
			Plan: func(c *resubmit.PlanConfig) {
				c.Rules = append(c.Rules, rules.Rule{
					ID: "renewals-later", Types: []commerce.OrderType{commerce.TypeRenewal},
					Action: rules.Hold, Why: "renewals are sent at the end of the month",
				})
			},
			Limits: func(c *resubmit.Config) { c.RateLimit = 2 },
		})
	}
	fmt.Println("passed:", passes(testRules))
	// Output: passed: true
}
