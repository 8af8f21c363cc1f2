// Package connecttest is an in-process CloudBlue Connect for tests.
//
// It does not return canned answers: it stores requests, assets and a hub, follows the
// life cycle of requests, rejects what Connect rejects, and lets vendors approve, delay
// or reject:
//
//	sys := connecttest.New(connecttest.Config{Vendor: func(c PendingRequest) connecttest.VendorAnswer {
//		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: time.Minute}
//	}})
//	base, err := sys.Start() // on loopback; see also Transport
//	if err != nil { … }
//	defer sys.Close()
//	client, err := connect.New(base, connect.APIKey(connecttest.DefaultKey))
//	sys.SetMaintenance(true) // every answer is a 502 with an HTML page
//	// … run the code under test …
//	sys.SetMaintenance(false)
//	require.Empty(t, sys.Violations())
//
// [System.AddRequest] adds histories, [System.AddFault] loses, delays, truncates or
// replaces answers, [System.Changes] returns everything that changed, and
// [System.Violations] the broken rules.
//
// # Time
//
// The clock is [Config.Now]. Events of vendors and schedules that are due are processed
// by the next call or by [System.Step]; there is no goroutine, so a test that sets the
// clock can advance it to [System.NextDue].
//
// # Differences from Connect
//
// Paths, filters, paging, errors and the life cycle follow sections 1 to 8 of connect/WIRE.md, mostly documented;
// comments say where a detail is inferred. There is one hub, one connection and one
// account. Filters on sli.*, tier configurations, and all of the API that
// resubmission does not use are missing.
//
// # Errors
//
// HTTP errors are those of Connect: AUTH_001, VAL_001, REQ_001 and the 409 with params
// for a request that exists. Go errors are one line and name the request and the
// problem; the System is unchanged after an error.
//
// # Concurrency
//
// A System is safe for concurrent use. [Config.Now] and [Config.Vendor] are called with
// the System locked and must not call it.
package connecttest
