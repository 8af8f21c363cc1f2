// Package connect is a read-only client for CloudBlue Connect: what became of the
// fulfillment requests of an order, and whether Connect answers.
//
// When Connect is under maintenance is in package maintenance below it, and waiting
// for its end in package availability.
//
// # Requests
//
// A [Client] reads what Commerce has asked of the vendors, and changes nothing:
//
//	client, err := connect.New("", connect.APIKey(os.Getenv("CONNECT_API_KEY")))
//	if err != nil {
//		return err
//	}
//	key := connect.RequestKey{Tenant: order.TenantID, Type: connect.TypePurchase}
//	newest, found, err := client.LatestRequest(ctx, key)
//	switch {
//	case errors.Is(err, connect.ErrUnavailable): // still under maintenance: hold
//	case err != nil: // unknown: hold
//	case !found: // the order never reached Connect
//	default: // newest.Request.Status says who must act next
//	}
//
// [Client.LatestRequests] does that for many keys at once, [Client.Requests] lists,
// and [Client.Probe] looks from outside, without the key, whether Connect is up.
//
// Every failed call is an [*Error] on one line; errors.Is tells its kind. Reads are
// tried again while Connect is unavailable. A client is immutable and safe for
// concurrent use; the sequences that it returns start no goroutine.
package connect
