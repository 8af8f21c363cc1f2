package sandbox

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// AddFaults makes both systems fail from now on: they lose answers to pushes, gateways answer instead of them, and they
// limit the rate of calls.
func (w *World) AddFaults() error {
	const order, requests = "*/orders/*", "*/requests"
	var errs []error
	for _, f := range slices.Concat(
		pushFaults(commercetest.Fault{Method: http.MethodPost, Path: "*/push"}, ""),
		pushFaults(commercetest.Fault{Method: http.MethodPatch, Path: order}, `"orderNumber"`),
		pushFaults(commercetest.Fault{Method: http.MethodPost, Path: "*/RPC2", Contains: "OrderStatusChange_API"},
			"Operation done."),
		readFaults(commercetest.Fault{Method: http.MethodGet, Path: order}),
		readFaults(commercetest.Fault{Method: http.MethodPost, Path: "*/RPC2", Contains: "GetOrder_API"}),
	) {
		errs = append(errs, w.Commerce.AddFault(f))
	}
	for _, f := range []connecttest.Fault{
		{Method: http.MethodGet, Path: requests, Kind: connecttest.FaultStatus, Status: http.StatusBadGateway, Skip: 4,
			Every: 31},
		{Method: http.MethodGet, Path: requests, Kind: connecttest.FaultTruncate, Skip: 9, Every: 37},
	} {
		errs = append(errs, w.Connect.AddFault(f))
	}
	return errors.Join(errs...)
}

// pushFaults returns faults of a call that pushes. They lose only answers to accepted pushes, which contain accepted.
func pushFaults(call commercetest.Fault, accepted string) []commercetest.Fault {
	return onCall(call, []commercetest.Fault{
		{Kind: commercetest.FaultReset, After: true, Holds: accepted, Skip: 3, Every: 9},
		{Kind: commercetest.FaultStatus, Status: http.StatusBadGateway, After: true, Holds: accepted, Skip: 5, Every: 11},
		{Kind: commercetest.FaultTruncate, Holds: accepted, Skip: 2, Every: 17},
		{Kind: commercetest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second, Skip: 20, Every: 50},
		{Kind: commercetest.FaultStatus, Status: http.StatusUnauthorized, Skip: 30, Times: 1},
	})
}

// readFaults returns faults of a call that reads an order.
func readFaults(call commercetest.Fault) []commercetest.Fault {
	return onCall(call, []commercetest.Fault{
		{Kind: commercetest.FaultStatus, Status: http.StatusBadGateway, Skip: 10, Every: 97},
		{Kind: commercetest.FaultReset, Skip: 50, Every: 101},
		{Kind: commercetest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second, Skip: 100, Times: 2},
	})
}

// onCall limits faults to a call.
func onCall(call commercetest.Fault, faults []commercetest.Fault) []commercetest.Fault {
	for i := range faults {
		faults[i].Method, faults[i].Path, faults[i].Contains = call.Method, call.Path, call.Contains
	}
	return faults
}
