// Package secrets contains only tests: that no credential appears in the errors, logs, values and files of the clients
// and of a run, even if servers repeat in their answers what they were sent.
package secrets
