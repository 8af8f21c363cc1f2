// Package tlstest is a certificate authority for tests of servers that require client
// certificates, and of their clients.
//
//	ca := tlstest.New(t)
//	server := httptest.NewUnstartedServer(handler)
//	server.TLS = ca.Server()
//	server.StartTLS()
//	cert, key, authority := ca.Client("operator") // PEM files
//
// Errors fail the test. An [Authority] is safe for use by parallel subtests.
package tlstest
