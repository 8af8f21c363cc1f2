// Package wiretest is an HTTP server for tests that fails in the ways in which servers,
// proxies and networks do: closed and reset connections, partial answers, HTTP/2 streams
// reset with each code, GOAWAY, no answer. It counts the requests that it receives.
//
//	s := wiretest.New(t, wiretest.HTTP2, answer)
//	… // requests are answered
//	s.Fail(mode, 0)
//	… // requests fail as the mode says
//	s.Seen() // how many
package wiretest
