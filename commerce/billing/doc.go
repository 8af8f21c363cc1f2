// Package billing is the client for the Billing XML-RPC interface of CloudBlue
// Commerce (BSS, PBA): it reads an order, pushes one along a manual transition of
// its flow, and calls any other method by [Client.Execute].
//
//	client, err := billing.New("https://billing.example.net:5224", billing.Basic(user, password))
//	ids, err := os.Open("failed-orders.csv") // exported from the panel, or written by psql
//	for order, err := range client.FromLines(ids).Orders(ctx, commerce.FailedOrders().Query()) {
//		if err != nil {
//			return err
//		}
//		err = client.Push(ctx, order.ID, commerce.StatusPaid)
//	}
//
// No call of Billing that lists orders by status is known (commerce/WIRE.md#0), so the ids come
// from the user: see [Client.FromLines]. It does not tell why an order failed, nor which moves it
// offers: Order.Failure is zero and Order.Transitions is nil. The usual port is 5224; the base URL
// says which one it is.
//
// The wire format is that of commerce/WIRE.md#1: read from public programs for the greater part.
// What is inferred there can be overridden by options.
//
// Every error is a [*commerce.Error], or an error of [New]; errors.AsType[*commerce.Fault]
// finds the words of Billing. Reads are retried; a push is sent exactly once, and its error tells in
// Delivery whether the order may have been moved. A [Client] is immutable and safe for
// concurrent use. All its calls share one limit, see [WithConcurrency].
package billing
