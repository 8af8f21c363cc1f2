// Package simpleapi is a client for Simple API ("Marketplace API") of CloudBlue Commerce, which
// is made for resellers. It lists and reads orders, and changes the status of an order.
//
//	auth := simpleapi.GatewayToken(key, simpleapi.GatewayLogin{User: "api", Password: password, Marketplace: "us"})
//	client, err := simpleapi.New("https://simpleapiprod.azure-api.net/marketplace", auth)
//	for order, err := range client.Orders(ctx, commerce.FailedOrdersView().Query()) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.Number, order.Status)
//		err = client.Push(ctx, order.ID, commerce.StatusPaid)
//	}
//
// # Limitations
//
//   - It returns the orders of the calling reseller, not those of the whole provider
//     (commerce/WIRE.md#3, inferred).
//   - It does not report why an order failed: Order.Failure is always zero, so every failure is
//     unclassified. To resubmit, use Connect, name the orders, or write a rule.
//   - It does not report the transitions of an order: Order.Transitions is always nil. Set the
//     status that resubmits an order in the targets of the run. That the server accepts "PD"
//     is inferred; its documentation shows only "CL".
//   - It reports neither the vendor account nor the name of the customer, nor when an order
//     failed. Lists leave out the subscriptions: read the order for them.
//   - It cannot sort or filter by type, and filters by one status at a time. The client fetches
//     and drops what the server cannot filter.
//
// [Client.Capabilities] declares that failure and transitions are missing.
//
// # Errors and concurrency
//
// Every error is a [*commerce.Error] with the X-Correlation-ID of the answer, which support asks
// for, or an error of [New]. Reads and requests for tokens are retried. A change is sent at
// most once, and the Delivery of its error says whether the order may have been changed. No
// error or log contains a password, a token or the subscription key. A [Client] is immutable
// and safe for concurrent use.
//
// The wire format is that of the OpenAPI document of Simple API 1.15 (commerce/WIRE.md#3).
// [WithStatusWords], [WithCustomFields] and [WithoutServerFilters] override what is inferred.
package simpleapi
