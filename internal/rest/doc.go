// Package rest is the one way in which the clients of this module speak HTTP:
// authentication, retries of what may be retried, limits, and errors.
//
//	c, err := rest.New(rest.Config{BaseURL: "https://mn.example.net:6308", Auth: auth})
//	id, err := rest.PathEscape(orderID)
//	var order json.RawMessage
//	_, err = c.JSON(ctx, rest.Request{
//		Op: "read order", Method: http.MethodGet, Safety: rest.Read,
//		Path: "aps/2/services/order-manager/orders/" + id,
//	}, &order)
//	if e, ok := errors.AsType[*rest.Error](err); ok { … e.Status, e.NotSent … }
//
// A [Read] is tried again after network errors and the statuses 408, 429, 500,
// 502, 503 and 504, with full jitter; Retry-After wins where it is given. An
// [Unsafe] request is sent at most once, whatever happens: it is not retried here,
// not replayed by net/http or by a transport around it, and not repeated with new
// credentials. When nothing of a request was written to a connection that the server
// had closed, it is sent on another one, and no try is counted. Redirects
// are never followed, because the credentials are in headers that net/http would
// take along to another host.
//
// TLS is verified unless [Config.InsecureTLS] is set. [Config.LoadTLS] and [Config.SetTLS] add client
// certificates and private authorities. A handshake that fails over a certificate
// says what to do, is not tried again, and counts as not sent.
//
// Every error is an [*Error] and holds no credentials. A [Client] is immutable and
// safe for concurrent use.
package rest
