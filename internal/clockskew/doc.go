// Package clockskew measures how far the local clock is ahead of the clocks of servers, by the Date
// of their answers.
//
//	var clocks clockskew.Clocks
//	clocks.ReportDate("mn.example.net", server, local) // for each answer
//	host, ahead := clocks.Worst()                      // negative: the local clock is behind
//
// A Date has whole seconds, and it is not known when between request and answer it was set. So a
// difference is exact to about a second, plus half the time that the fastest answers take.
package clockskew
