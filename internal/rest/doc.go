// Package rest is the HTTP layer of all clients of this module: authentication, retries,
// limits, TLS and errors.
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
// A [Read] is retried after network errors and the statuses 408, 429, 500, 502, 503 and 504,
// with full jitter or after Retry-After. An [Unsafe] request is sent at most once: it is not
// retried here, not replayed by net/http or a transport, and not repeated with new
// credentials. If the server had closed a connection before anything of a request was written
// to it, the request is sent on another one, which does not count as a try. Redirects are
// never followed, because net/http would send the credentials in headers to another host.
//
// TLS is verified unless [Config.InsecureTLS] is set. [Config.LoadTLS] and [Config.SetTLS] add
// client certificates and private authorities. A handshake that fails because of a certificate
// is not retried, counts as not sent, and its error says what to do.
//
// Every error is an [*Error] and contains no credentials. A [Client] is immutable and safe for
// concurrent use.
package rest
