package main

import (
	"io"
	"strings"
)

// flagNames replaces what messages of the library call its settings by the flags that set them.
var flagNames = strings.NewReplacer(
	"PlanConfig.Override", "-order",
	"IgnoreConnect", "-ignore-connect",
	"PlanConfig.RateLimit", "-rate", "CheckConfig.RateLimit", "-rate", "Config.RateLimit", "-rate",
	"PlanConfig.SettleDelay", "-settle-delay", "Config.SettleDelay", "-settle-delay",
	"PlanConfig.Retry.Spacing", "-spacing", "Config.Retry.Spacing", "-spacing",
	"PlanConfig.Retry.MaxAttempts", "-attempts", "Config.Retry.MaxAttempts", "-attempts",
	"PlanConfig.Targets", "-targets", "Config.Targets", "-targets", "Policy.Targets", "-targets",
	" and Config.MaxOpenOrders is 0; give 1 to 10000 and 1 to 1000000, or 0 for the defaults", "; give 1 to 10000",
	"Config.Concurrency", "-concurrency",
	"Config.Verify.InitialInterval", "-verify-after",
	" or -1 to disable it", " or leave it out",
	"longer than Config.MaxRetryAfter", "longer than a day",
	"Config.Breaker.MaxOpens is ", "at most ",
	"Limits.MaxOrders", "-max-orders",
	"wrap the lister with Sorted", "give -sort",
	", or see with CheckPlan what changed", "",
	": see Report.Blockers", "",
	"WithPlainHTTP", "-plain-http",
	"WithDefaultCurrency", "-currency",
	", or WithNumberResolver", "",
	"see WithOperationsLogin", "see COMMERCE_USER",
)

// flagWriter writes text with the names of flags. Each Write must have whole names.
type flagWriter struct{ to io.Writer }

func (w flagWriter) Write(text []byte) (int, error) {
	if _, err := flagNames.WriteString(w.to, string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}
