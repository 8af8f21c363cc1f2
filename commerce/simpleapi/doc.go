// Package simpleapi is the client for Simple API ("Marketplace API") of CloudBlue
// Commerce, which is made for resellers: it lists orders, reads one, and changes
// the status of one.
//
//	auth := simpleapi.GatewayToken(key, simpleapi.GatewayLogin{User: "api", Password: password, Marketplace: "us"})
//	client, err := simpleapi.New("https://simpleapiprod.azure-api.net/marketplace", auth)
//	for order, err := range client.Orders(ctx, commerce.FailedOrders().Query()) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.Number, order.Status)
//		err = client.Push(ctx, order.ID, commerce.StatusPaid)
//	}
//
// # What this way in cannot do
//
//   - It sees the orders of the reseller who calls, not those of the whole
//     provider (commerce/WIRE.md#3, inferred).
//   - It does not tell why an order failed: Order.Failure is always zero, so every
//     failure is unclassified. To resubmit, look in Connect and name the orders, or
//     bring a rule.
//   - It does not tell which transitions an order offers: Order.Transitions is
//     always nil. Say in the targets of the run which status resubmits an order;
//     that the server takes "PD" is inferred, its documentation shows "CL" only.
//   - It tells neither the vendor account nor the name of the customer, nor when an
//     order failed. Lists leave out the subscriptions: read the order for them.
//   - It has no sort order, no filter by type, and takes one status at a time: what
//     the server cannot filter is fetched and left out here.
//
// [Client.Capabilities] tells programs that failure and transitions are missing.
//
// # Errors and concurrency
//
// Every error is a [*commerce.Error] with the X-Correlation-ID of the answer, which
// support asks for, or an error of [New]. Reads are retried, and so is fetching a
// token, which changes nothing; a change is sent exactly once, and its error tells
// in Delivery whether the order may have been changed. No error and no log holds a
// password, a token or the subscription key. A [Client] is immutable and safe for
// concurrent use.
//
// The wire format is that of the OpenAPI document of Simple API 1.15 (commerce/WIRE.md#3); what is
// inferred can be overridden: [WithStatusWords], [WithFields], [WithoutServerFilters].
package simpleapi
