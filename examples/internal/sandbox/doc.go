// Package sandbox runs both test systems in this process, with three days of orders during which Connect had an outage
// and a maintenance.
package sandbox
