package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// property is a property of an order that a condition can test.
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
	propTemplate
	propClass
	propVerdict
	propWindow
	propPlaced
	propFailed
	propAmount
)

var propertyNames = []string{
	propID: "id", propBillingID: "billingId", propNumber: "number", propType: "type", propStatus: "status",
	propProvisioning: "provisioningStatus", propVendor: "vendor", propChannel: "channel", propCustomer: "customer",
	propCustomerName: "customerName", propSubscription: "subscription", propTenant: "tenant", propReason: "reason",
	propTemplate: "template", propClass: "class", propVerdict: "verdict", propWindow: "window", propPlaced: "placed",
	propFailed: "failed", propAmount: "amount",
}

func (p property) String() string { return propertyNames[p] }

func propertyByName(name string) (property, bool) {
	i := slices.IndexFunc(propertyNames, func(known string) bool { return strings.EqualFold(known, name) })
	return property(i), i >= 0
}

// inFullOrder reports whether lists may omit the property, or what it follows from (commerce/WIRE.md#2.4,
// commerce/WIRE.md#4).
func (p property) inFullOrder() bool {
	return slices.Contains([]property{
		propReason, propTemplate, propSubscription, propTenant, propClass, propVerdict, propWindow,
	}, p)
}

// value returns a property that is a single text.
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
		return o.VendorAccountID
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
	case propTemplate:
		return failure.Template(o.Failure.Message())
	default:
		return ""
	}
}

// comparable returns a value as it is compared: ids of APS are UUIDs, in any letter case.
func (p property) comparable(value string) string {
	if p == propID || p == propTenant {
		return text.ID(value)
	}
	return value
}

// time returns a property that is a time. Without a time of the failure it is that of placing (see FailedBetween).
func (p property) time(o *commerce.Order) time.Time {
	if p == propFailed && !o.FailedAt.IsZero() {
		return o.FailedAt
	}
	return o.PlacedAt
}

// describe returns the property's name and value for people.
func (p property) describe(o *commerce.Order) string {
	switch p {
	case propPlaced, propFailed:
		return p.describeTime(o)
	case propAmount:
		return describeValue(p, o.Total.String())
	case propSubscription:
		return describeValue(p, strings.Join(o.SubscriptionIDs, " "))
	default:
		return describeValue(p, p.value(o))
	}
}

func (p property) describeTime(o *commerce.Order) string {
	t := p.time(o)
	switch {
	case t.IsZero():
		return describeValue(p, "")
	case p == propFailed && o.FailedAt.IsZero():
		return fmt.Sprintf("failed is unknown, placed is %s", t.UTC().Format(time.RFC3339Nano))
	default:
		return fmt.Sprintf("%s is %s", p, t.UTC().Format(time.RFC3339Nano))
	}
}

// maxValue is the number of bytes of a value that an explanation shows.
const maxValue = 120

func describeValue(p property, value string) string {
	if value == "" {
		return p.String() + " is unknown"
	}
	return fmt.Sprintf("%s is %q", p, text.Excerpt(value, maxValue))
}

var knownChannels = []commerce.Channel{commerce.ChannelDirect, commerce.ChannelReseller, commerce.ChannelUnknown}

func checkValue(p property, value string) error {
	if p == propChannel && !slices.Contains(knownChannels, commerce.Channel(value)) {
		return fmt.Errorf("unknown channel %q%s; known are direct, reseller and \"\" (unknown)",
			value, text.DidYouMean(value, text.Strings(knownChannels)))
	}
	return nil
}
