package resubmittest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// compareOrder returns how an order differs from what the fixture says. A listed order may leave optional fields out.
func compareOrder(want, got *commerce.Order, listed bool) (differences []string) {
	differ := func(field string, want, got any) {
		differences = append(differences, fmt.Sprintf("%s is %q, not %q", field, fmt.Sprint(got), fmt.Sprint(want)))
	}
	for _, f := range []struct {
		name      string
		want, got string
		optional  bool // in a list
	}{
		{"ID", want.ID, got.ID, false},
		{"Number", want.Number, got.Number, false},
		{"Type", string(want.Type), string(got.Type), false},
		{"Status", string(want.Status), string(got.Status), false},
		{"Total", want.Total.Currency, got.Total.Currency, false},
		{"BillingID", want.BillingID, got.BillingID, true},
		{"ProvisioningStatus", string(want.ProvisioningStatus), string(got.ProvisioningStatus), true},
		{"VendorAccountID", want.VendorAccountID, got.VendorAccountID, true},
		{"Channel", string(want.Channel), string(got.Channel), true},
		{"CustomerID", want.CustomerID, got.CustomerID, true},
		{"CustomerName", want.CustomerName, got.CustomerName, true},
		{"TenantID", want.TenantID, got.TenantID, true},
		{"SubscriptionIDs", strings.Join(want.SubscriptionIDs, " "), strings.Join(got.SubscriptionIDs, " "), true},
		{"Failure", want.Failure.Message(), got.Failure.Message(), true},
	} {
		if f.want != f.got && (f.got != "" || !listed || !f.optional) {
			differ(f.name, f.want, f.got)
		}
	}
	if !want.Total.Amount.Equal(got.Total.Amount) {
		differ("Total", want.Total, got.Total)
	}
	if !want.PlacedAt.Equal(got.PlacedAt) {
		differ("PlacedAt", want.PlacedAt, got.PlacedAt)
	}
	if !want.FailedAt.Equal(got.FailedAt) && (!listed || !got.FailedAt.IsZero()) {
		differ("FailedAt", want.FailedAt, got.FailedAt)
	}
	if (got.Transitions != nil || !listed) && transitions(want) != transitions(got) {
		differ("Transitions", transitions(want), transitions(got))
	}
	return differences
}

// transitions returns the transitions of an order as text.
func transitions(o *commerce.Order) string {
	if o.Transitions == nil {
		return "not reported"
	}
	codes := make([]string, len(o.Transitions))
	for i, t := range o.Transitions {
		codes[i] = string(t.To)
	}
	slices.Sort(codes)
	return "[" + strings.Join(codes, " ") + "]"
}

// undeclared returns what an order reports without being declared in the capabilities.
func undeclared(caps commerce.Capabilities, o *commerce.Order) (reported []string) {
	if !caps.Failure && len(o.Failure.Messages) > 0 {
		reported = append(reported, fmt.Sprintf("a failure (%q)", o.Failure.Message()))
	}
	if !caps.Transitions && o.Transitions != nil {
		reported = append(reported, "transitions "+transitions(o))
	}
	return reported
}

// compareLists returns how the orders of a list differ from the wanted ones.
func compareLists(wants, got []*commerce.Order) (differences []string) {
	times := map[string]int{}
	for _, o := range got {
		times[o.ID]++
		if times[o.ID] == 2 {
			differences = append(differences, fmt.Sprintf("%s is yielded twice", o.Number))
		}
	}
	wanted := map[string]bool{}
	for _, want := range wants {
		wanted[want.ID] = true
		if times[want.ID] == 0 {
			differences = append(differences, fmt.Sprintf("%s is missing", want.Number))
		}
	}
	for _, o := range got {
		if !wanted[o.ID] {
			differences = append(differences, fmt.Sprintf("%s is not wanted", o.Number))
		}
	}
	return differences
}

// few joins the first texts.
func few(texts []string) string {
	const most = 5
	if more := len(texts) - most; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), more)
	}
	return strings.Join(texts, "; ")
}
