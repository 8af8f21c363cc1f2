// Package billing is a client for the Billing XML-RPC interface of CloudBlue Commerce (also
// BSS or PBA). It reads orders, pushes an order along a manual transition of its flow, and
// calls any other method with [Client.Execute].
//
//	client, err := billing.New("https://billing.example.net:5224", billing.Basic(user, password))
//	ids, err := os.Open("failed-orders.csv") // exported from the panel, or written by psql
//	for order, err := range client.FromText(ids).Orders(ctx, commerce.FailedOrdersView().Query()) {
//		if err != nil {
//			return err
//		}
//		err = client.Push(ctx, order.ID, commerce.StatusPaid)
//	}
//
// No call of Billing that lists orders by status is known (commerce/WIRE.md#0), so the user
// supplies the ids; see [Client.FromText]. Billing reports neither why an order failed nor
// its transitions: Order.Failure is zero and Order.Transitions is nil. The usual port is
// 5224; it must be part of the base URL.
//
// The wire format is that of commerce/WIRE.md#1, most of which was read from public programs.
// Options override what is inferred.
//
// Every error is a [*commerce.Error], or an error of [New]; errors.AsType[*commerce.Fault]
// finds the fault of Billing. Reads are retried. A push is sent at most once, and the Delivery
// of its error says whether the order may have been moved. A [Client] is immutable and safe
// for concurrent use; its calls share one concurrency limit, see [WithConcurrency].
package billing
