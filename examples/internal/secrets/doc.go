// Package secrets has no code of its own: its test looks for credentials wherever
// they must not show, in all that the clients and a run leave behind, while servers
// repeat what they were sent in every way that they can.
package secrets
