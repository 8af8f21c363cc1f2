// Package connecttest is a small CloudBlue Connect that runs inside a test.
//
// It is no mock with canned answers: it keeps requests, assets and a hub, moves
// requests through their real life cycle, refuses what Connect refuses, and lets
// vendors approve, delay or reject. In a test of your own:
//
//	sys := connecttest.New(connecttest.Config{Vendor: func(c connecttest.VendorCall) connecttest.VendorAnswer {
//		return connecttest.VendorAnswer{Action: connecttest.Approve, After: time.Minute}
//	}})
//	server := httptest.NewServer(sys) // or sys.Start(); or sys.Transport() under testing/synctest
//	defer server.Close()
//	client, err := connect.New(server.URL+"/public/v1", connect.APIKey(connecttest.DefaultKey))
//	sys.SetMaintenance(true) // every answer is now a 502 with an HTML page
//	// … run the code under test, then end the maintenance and look:
//	sys.SetMaintenance(false)
//	require.Empty(t, sys.Violations())
//
// [System.AddRequest] puts histories in place, [System.AddFault] loses, delays,
// cuts or spoils answers call by call, [System.Ledger] tells everything that was
// changed, and [System.Violations] what must never happen.
//
// Time is [Config].Now. What vendors and schedules have due is done at the next
// call or [System.Step]; no goroutine waits, so a test that owns the clock can
// jump to [System.NextDue].
//
// # What is and is not like Connect
//
// Paths, filters, paging, errors and the life cycle follow sections 1 to 8 of connect/WIRE.md,
// mostly documented; comments say where a detail is inferred. There is one hub, one connection and
// one account. Left out are filters on sli.*, tier configurations, and every part of the API that
// the resubmission of orders does not touch.
//
// # Errors
//
// The HTTP side answers errors as Connect does: AUTH_001, VAL_001, REQ_001 and
// the 409 with params for a request that exists. The Go side returns one-line
// errors that name the request and what is wrong; nothing is changed then.
//
// # Concurrency
//
// A System is safe for concurrent use. [Config].Now and [Config].Vendor are
// called while it is locked and must not call it.
package connecttest
