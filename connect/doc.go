// Package connect is a read-only client for CloudBlue Connect, where vendors handle the
// fulfillment requests of Commerce orders.
//
//	client, err := connect.New("", connect.APIKey(os.Getenv("CONNECT_API_KEY")))
//	if err != nil {
//		return err
//	}
//	key := connect.RequestKey{TenantID: order.TenantID, Type: connect.TypePurchase}
//	latest, found, err := client.LatestRequest(ctx, key)
//	switch {
//	case errors.Is(err, connect.ErrUnavailable): // still under maintenance: hold
//	case err != nil: // unknown: hold
//	case !found: // the order never reached Connect
//	default: // latest.Request.Status.NextActor() says who must act next
//	}
//
// [Client.LatestRequests] looks up many keys, [Client.Requests] lists requests, and
// [Client.Probe] checks without the API key whether Connect is up. Package maintenance knows
// when Connect is under maintenance, and package availability waits for its end.
//
// Every failed call returns an [*Error] on one line; match its kind with errors.Is. Calls are
// retried while Connect is unavailable. A [Client] is immutable and safe for concurrent use;
// its sequences start no goroutine.
//
// The connector is the extension of Commerce that sends the requests of orders to Connect; facts from
// its published code are cited as such.
package connect
