package terminal

import (
	"io"
	"strings"
)

// settingNames replaces what messages of the library call its settings by the flags and settings of the program.
var settingNames = strings.NewReplacer(
	"PlanConfig.Override", "-order",
	"IgnoreConnect", "-ignore-connect",
	"PlanConfig.RateLimit", "-rate", "CheckConfig.RateLimit", "-rate", "Config.RateLimit", "-rate",
	"PlanConfig.SettleDelay", "policy.settleDelay", "Config.SettleDelay", "policy.settleDelay",
	"PlanConfig.Retry.Spacing", "policy.spacing", "Config.Retry.Spacing", "policy.spacing",
	"PlanConfig.Retry.MaxAttempts", "policy.attempts", "Config.Retry.MaxAttempts", "policy.attempts",
	"PlanConfig.Targets", "policy.targets", "Config.Targets", "policy.targets", "Policy.Targets", "policy.targets",
	" and Config.MaxOpenOrders is 0; give 1 to 10000 and 1 to 1000000, or 0 for the defaults", "; give 1 to 10000",
	"Config.Concurrency", "run.concurrency",
	"Config.Verify.InitialInterval", "run.verifyAfter",
	" or -1 to disable it", " or leave it out",
	"longer than Config.MaxRetryAfter", "longer than run.maxRetryAfter",
	"Config.Breaker.MaxOpens is ", "at most ",
	"Limits.MaxOrders", "limits.maxOrders",
	"wrap the lister with Sorted", `set "sortLists": true in the configuration`,
	", or see with CheckPlan what changed", "",
	": see Report.Blockers", "",
	"WithPlainHTTP", "-plain-http",
	"WithDefaultCurrency", "commerce.currency",
	", or WithNumberResolver", "",
	"see WithOperationsLogin", "see COMMERCE_USER",
	"Config.Approvers", `"approvers" of the configuration`,
)

// Plain writes results, in which names of the library become those of flags and settings.
type Plain struct{ To io.Writer }

// Write writes text.
func (w Plain) Write(text []byte) (int, error) {
	if _, err := settingNames.WriteString(w.To, string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}
