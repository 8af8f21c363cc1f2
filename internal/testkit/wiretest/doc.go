// Package wiretest is a server for tests that ends requests in every way in which a
// server, a proxy or a network can: connections closed and reset, half an answer, streams
// of HTTP/2 reset with each code, GOAWAY, no answer. It counts the requests it saw, whole
// or not.
//
//	s := wiretest.New(t, wiretest.HTTP2, answer)
//	… // a request here is answered
//	s.Fail(mode, 0)
//	… // a request here ends as the mode says
//	s.Seen()
package wiretest
