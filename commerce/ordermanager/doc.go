// Package ordermanager is the client for the Order Management REST interface
// (APS) of CloudBlue Commerce: it lists orders, reads one, and pushes one along a
// manual transition of its flow.
//
//	client, err := ordermanager.New("https://mn.example.net:6308", ordermanager.Token(token))
//	view := commerce.FailedOrders()
//	for order, err := range client.Orders(ctx, view.Query()) {
//		if err != nil {
//			return err
//		}
//		full, err := client.Order(ctx, order.ID) // with its failure and transitions
//		…
//		err = client.Push(ctx, full.ID, commerce.StatusPaid)
//	}
//
// There are two documented ways to sign in (commerce/WIRE.md#2.2). Inside the management network it
// is an APS token: [Token], or [TokenFunc] with [UserToken], which asks Operations for it. From
// outside, through the host of the panel, it is [OAuth1]. Client certificates and private
// authorities go with both: [WithTLSFiles], [WithTLSConfig].
//
// The wire format is that of commerce/WIRE.md#2: read from public programs, not from a published
// specification. What is inferred there can be overridden here: [WithFields], [WithProviderAccount]
// and [WithoutServerFilters].
//
// Every error is a [*commerce.Error], or an error of [New]. Reads are retried;
// a push is sent exactly once, and its error tells in Delivery whether the order
// may have been moved. A [Client] is immutable and safe for concurrent use.
package ordermanager
