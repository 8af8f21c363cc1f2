// Package tlstest is a certificate authority for tests: of servers that demand
// client certificates, and of clients that have them.
//
//	ca := tlstest.New(t)
//	server := httptest.NewUnstartedServer(handler)
//	server.TLS = ca.Server()
//	server.StartTLS()
//	cert, key, authority := ca.Client("operator") // PEM files
//
// What fails ends the test. An [Authority] is safe for use by parallel subtests.
package tlstest
