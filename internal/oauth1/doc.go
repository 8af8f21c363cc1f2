// Package oauth1 signs requests with two-legged OAuth 1.0a (RFC 5849) and HMAC-SHA1: with a
// consumer key and secret, and without a token, not even an empty one.
//
//	signer, err := oauth1.New(consumerKey, consumerSecret)
//	if err != nil {
//		return err // the key or secret is empty or has a forbidden character
//	}
//	client, err := rest.New(rest.Config{BaseURL: "https://brand.example.net", Auth: signer})
//
// The signature covers the method, host, path and query exactly as sent, including parameters
// without "=", as in RQL. It does not cover bodies; a form, whose body it would have to cover,
// is an error.
//
// Errors contain no secret. A [Signer] is immutable and safe for concurrent use.
package oauth1
