// Package oauth1 signs requests by OAuth 1.0a (RFC 5849) with HMAC-SHA1, two-legged:
// a consumer key and its secret, and no token, not even an empty one.
//
//	signer, err := oauth1.New(consumerKey, consumerSecret)
//	if err != nil {
//		return err // a key or secret is empty, or has a character that does not belong there
//	}
//	client, err := rest.New(rest.Config{BaseURL: "https://brand.example.net", Auth: signer})
//
// What is signed is what goes on the wire: the method, the host, the path and the
// query of the request as they are, with parameters that have no "=" as RQL has
// them. Bodies are not part of the signature; a form, whose body would have to be, is an error.
//
// Errors name no secret. A [Signer] is immutable and safe for concurrent use.
package oauth1
