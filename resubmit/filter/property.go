package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// property is what of an order a leaf looks at, by the name it has in the text
// form.
type property int

const (
	propID property = iota
	propBillingID
	propNumber
	propType
	propStatus
	propProvisioning
	propVendor
	propChannel
	propCustomer
	propCustomerName
	propSubscription
	propTenant
	propReason
	propClass
	propPlaced
	propFailed
	propAmount
)

var propertyNames = []string{
	"id", "billingId", "number", "type", "status", "provisioningStatus", "vendor", "channel", "customer",
	"customerName", "subscription", "tenant", "reason", "class", "placed", "failed", "amount",
}

func (p property) String() string { return propertyNames[p] }

func propertyByName(name string) (property, bool) {
	i := slices.IndexFunc(propertyNames, func(known string) bool { return strings.EqualFold(known, name) })
	return property(i), i >= 0
}

// inDetails reports whether lists may leave the property out (commerce/WIRE.md#2.4 and
// commerce/WIRE.md#4).
func (p property) inDetails() bool {
	return p == propReason || p == propSubscription || p == propTenant
}

// value is the text of a property that holds one text.
func (p property) value(o *commerce.Order) string {
	switch p {
	case propID:
		return o.ID
	case propBillingID:
		return o.BillingID
	case propNumber:
		return o.Number
	case propType:
		return string(o.Type)
	case propStatus:
		return string(o.Status)
	case propProvisioning:
		return string(o.ProvisioningStatus)
	case propVendor:
		return o.VendorID
	case propChannel:
		return string(o.Channel)
	case propCustomer:
		return o.CustomerID
	case propCustomerName:
		return o.CustomerName
	case propTenant:
		return o.TenantID
	case propReason:
		return o.Failure.Message()
	default:
		return ""
	}
}

// time is the instant of a property that holds one; the time of failing falls
// back on the time of placing (see FailedBetween).
func (p property) time(o *commerce.Order) time.Time {
	if p == propFailed && !o.FailedAt.IsZero() {
		return o.FailedAt
	}
	return o.PlacedAt
}

// saw says what an order has in a property, for people.
func (p property) saw(o *commerce.Order) string {
	switch p {
	case propPlaced, propFailed:
		return p.sawTime(o)
	case propAmount:
		return told(p, o.Total.String())
	case propSubscription:
		return told(p, strings.Join(o.SubscriptionIDs, " "))
	default:
		return told(p, p.value(o))
	}
}

func (p property) sawTime(o *commerce.Order) string {
	t := p.time(o)
	switch {
	case t.IsZero():
		return told(p, "")
	case p == propFailed && o.FailedAt.IsZero():
		return fmt.Sprintf("failed is not told, placed is %s", t.UTC().Format(time.RFC3339Nano))
	default:
		return fmt.Sprintf("%s is %s", p, t.UTC().Format(time.RFC3339Nano))
	}
}

// maxSeen is how much of a value an explanation shows.
const maxSeen = 120

func told(p property, value string) string {
	if value == "" {
		return p.String() + " is not told"
	}
	return fmt.Sprintf("%s is %q", p, text.Excerpt(value, maxSeen))
}

var knownChannels = []commerce.Channel{commerce.ChannelDirect, commerce.ChannelReseller, commerce.ChannelUnknown}

func checkValue(p property, value string) error {
	if p == propChannel && !slices.Contains(knownChannels, commerce.Channel(value)) {
		return fmt.Errorf("unknown channel %q%s; known are direct, reseller and \"\" (not told)",
			value, text.DidYouMean(value, text.Strings(knownChannels)))
	}
	return checkConstant(p, value)
}

// checkConstant refuses the constants of RQL, which would be taken for texts
// that no order has.
func checkConstant(p property, value string) error {
	if value == "null()" || value == "empty()" {
		return fmt.Errorf("%s: %s is not known here; write \"\" for what is not told", p, value)
	}
	return nil
}
