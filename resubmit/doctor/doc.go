// Package doctor checks whether an installation of Commerce and Connect behaves as this library expects: addresses,
// credentials, permissions, clocks, field names, sorting and paging. It only reads: a [Wire] between the clients and
// the network refuses every call that could change something.
//
//	commerceWire, connectWire := new(doctor.Wire), new(doctor.Wire)
//	orders, err := ordermanager.New(url, auth,
//		ordermanager.WithMiddleware(commerceWire.Wrap), ordermanager.WithPageSize(20))
//	…
//	findings, err := doctor.Check(ctx, doctor.Config{
//		Systems: resubmit.SystemsOf(orders, orders), Wire: commerceWire, Connect: requests, ConnectWire: connectWire,
//	})
//
// What differs from the facts is a [Finding] with the section of the facts and what to do about it. Check returns an
// error only if its configuration is incomplete or its context ends. It starts no goroutine.
package doctor
