// Package rules decides what to do with a failed order.
//
// [Decide] applies your rules, in their order, and then the default rules, which are inferred from the connector's code
// (resubmit/SAFETY.md#decisions). It depends on nothing but its [Facts]:
//
//	userRules, err := rules.LoadFile("rules.json")
//	if err != nil {
//		return err
//	}
//	d := rules.Decide(userRules, rules.Facts{
//		Order: order, Attribution: finding.Attribution, RequestsQueried: true, Requests: requests, Now: time.Now(),
//	})
//	fmt.Println(d.Action, d.RuleID, d.Why) // resubmit connect-none the call never reached Connect
//
// # Errors and concurrency
//
// Only loading, saving and validating rules return errors: one line that names the rule and the key to correct.
// All functions are safe for concurrent use.
package rules
