package sim

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

type connecttestAction = connecttest.VendorAction

// The past of a world, since the beginning of its bubble. The program starts at
// beforeStart.
const (
	outageAt    = 5 * time.Minute
	outageEnd   = 6 * time.Minute
	rejectedAt  = 8 * time.Minute
	reachedAt   = 14 * time.Minute
	windowAt    = 17 * time.Minute
	windowEnd   = 21 * time.Minute
	markedAt    = 22 * time.Minute
	beforeStart = 40 * time.Minute
)

// drawOrders makes a few orders; several share a subscription.
func (s *scenario) drawOrders(d dice) {
	shared := 1 + d.IntN(3) // subscriptions that were bought long ago
	for i := range 2 + d.IntN(6) {
		o := orderSeed{index: i, vendor: resellers[d.IntN(len(resellers))], product: quickProduct, fate: drawFate(d)}
		o.kind = one(d, commerce.TypeSales, commerce.TypeSales, commerce.TypeSales, commerce.TypeChange, commerce.TypeChange,
			commerce.TypeUpgrade, commerce.TypeDowngrade, commerce.TypeCancellation, commerce.TypeCancellationCharge,
			commerce.TypeRenewal)
		switch {
		case o.kind == commerce.TypeSales:
			o.subscription = 100 + i
		case i > 0 && d.chance(30):
			o.subscription = s.orders[i-1].subscription // behind whatever that is
			o.bought = s.orders[i-1].bought
		default:
			o.subscription, o.bought = d.IntN(shared), true
		}
		s.drawCause(d, &o)
		if s.twin {
			o.fate.after = min(o.fate.after, 90*time.Second)
		}
		s.orders = append(s.orders, o)
	}
}

func (s *scenario) drawCause(d dice, o *orderSeed) {
	o.after = time.Duration(o.index)*5*time.Second + d.between(0, 4*time.Second) // the later, the younger
	o.cause = one(d, causeWindow, causeWindow, causeWindow, causeWindow, causeOutage, causeReached, causeReached,
		causeRejected, causeTrouble, causeMarked, causeHealthy)
	switch o.cause {
	case causeTrouble:
		o.text = one(d, testkit.FailAlreadyExists, testkit.FailInvalidValue, testkit.FailCustomerNotFound,
			testkit.FailConcurrentOrder, testkit.FailZeroQuantity, testkit.FailResellerInactive)
	case causeMarked:
		o.text = one(d, "Marked as failed by the operator: see ticket 4711.",
			"Script local-check-7 returned 3: ask Basement Billing",
			"Connection timed out")
	case causeRejected:
		o.product = strictProduct
	}
	if o.kind == commerce.TypeCancellation && d.chance(40) {
		o.failedBefore = d.IntN(6)
	}
	if d.chance(15) {
		o.relapses = 1 + d.IntN(2)
	}
	if o.kind == commerce.TypeSales && o.cause == causeWindow && d.chance(8) {
		// Commerce will be content with a change, where Connect should have a purchase.
		o.request, o.subscription, o.bought = connect.TypeChange, 50, true
	}
}

func drawFate(d dice) fate {
	f := fate{action: connecttest.Approve, after: d.between(time.Second, 2*time.Minute)}
	switch d.IntN(12) {
	case 0:
		f.action = connecttest.Reject
	case 1:
		f.action = connecttest.Leave
	case 2:
		f.action = connecttest.Inquire
	case 3:
		f.after = d.between(10*time.Minute, time.Hour)
	}
	return f
}
