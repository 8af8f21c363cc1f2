// Package reports tests the clients and the engine against cases that were made
// from public bug reports of other projects. Each test names the report it comes
// from and runs against a server on the loopback interface.
package reports
