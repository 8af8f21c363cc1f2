// Package ordermanager is a client for the Order Management REST interface (APS) of CloudBlue
// Commerce. It lists and reads orders, and pushes an order along a manual transition of its
// flow.
//
//	client, err := ordermanager.New("https://mn.example.net:6308", ordermanager.Token(token))
//	view := commerce.FailedOrdersView()
//	for order, err := range client.Orders(ctx, view.Query()) {
//		if err != nil {
//			return err
//		}
//		full, err := client.Order(ctx, order.ID) // with its failure and transitions
//		…
//		err = client.Push(ctx, full.ID, commerce.StatusPaid)
//	}
//
// Two ways to authenticate are documented (commerce/WIRE.md#2.2): an APS token inside the
// management network ([Token], or [TokenFunc] with [UserToken], which gets one from
// Operations), and [OAuth1] from outside, through the host of the panel. Both support client
// certificates and private authorities, see [WithTLSFiles] and [WithTLSConfig].
//
// The wire format is that of commerce/WIRE.md#2, which was read from public programs; no
// specification is published. [WithCustomFields], [WithProviderAccount] and [WithoutServerFilters]
// override what is inferred.
//
// Every error is a [*commerce.Error], or an error of [New]. Reads are retried. A push is sent at
// most once, and the Delivery of its error says whether the order may have been moved. A
// [Client] is immutable and safe for concurrent use.
package ordermanager
