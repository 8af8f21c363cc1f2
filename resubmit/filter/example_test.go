package filter_test

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func ExampleAnd() {
	window := maintenance.Window{
		ID:    "MW-1",
		Start: time.Date(2026, 11, 14, 22, 0, 0, 0, time.UTC),
		End:   time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC),
	}
	f := filter.And(
		filter.Statuses(commerce.StatusProvisioningFailed),
		filter.FailedDuring(window),
		filter.Not(filter.Channel(commerce.ChannelReseller)),
	)
	fmt.Println(f)
	// Output:
	// and(eq(status,PF),ge(failed,2026-11-14T22:00:00Z),lt(failed,2026-11-15T00:00:00Z),not(eq(channel,reseller)))
}

func ExampleParse() {
	f, err := filter.Parse("type=SO&channel=reseller&ilike(reason,*gateway*)")
	fmt.Println(f, err)
	_, err = filter.Parse("type=SO&stat=PF")
	fmt.Println(err)
	// Output:
	// and(eq(type,SO),eq(channel,reseller),ilike(reason,*gateway*)) <nil>
	// filter: byte 8: unknown property "stat" (did you mean "status"?); known are id, billingId, number, type, status, provisioningStatus, vendor, channel, customer, customerName, subscription, tenant, reason, template, class, verdict, window, placed, failed, amount
}

func ExampleExplain() {
	f := filter.And(filter.Types(commerce.TypeSales), filter.MessageClass(nil, failure.Transient))
	o := &commerce.Order{
		Type:    commerce.TypeSales,
		Failure: commerce.Failure{Messages: map[string]string{"en_US": "Customer not found"}},
	}
	fmt.Println(filter.Explain(f, o))
	// Output:
	// does not match eq(class,transient) at and[2]: class is "permanent" by pattern customer-not-found, reason is "Customer not found"
}

func ExampleToQuery() {
	f := filter.And(filter.Statuses(commerce.StatusProvisioningFailed), filter.MessageLike("*gateway*"))
	q, rest := filter.ToQuery(f, commerce.Query{})
	fmt.Println(q.Statuses, rest)
	// Output:
	// [PF] ilike(reason,*gateway*)
}
