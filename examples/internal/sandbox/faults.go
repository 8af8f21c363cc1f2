package sandbox

import (
	"errors"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// BreakDown makes both systems misbehave from now on, as they would on a bad
// night: answers are lost after the push was done, gateways answer in the place
// of the system, and calls come too fast for it.
func (w *World) BreakDown() error {
	const push, order, requests = "*/push", "*/orders/*", "*/requests"
	var errs []error
	for _, f := range []commercetest.Fault{
		{Method: http.MethodPost, Path: push, Kind: commercetest.FaultReset, After: true, Skip: 3, Every: 9},
		{Method: http.MethodPost, Path: push, Kind: commercetest.FaultStatus, Status: http.StatusBadGateway, After: true, Skip: 5, Every: 11},
		{Method: http.MethodPost, Path: push, Kind: commercetest.FaultTruncate, Skip: 2, Every: 17},
		{Method: http.MethodPost, Path: push, Kind: commercetest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second, Skip: 20, Every: 50},
		{Method: http.MethodPost, Path: push, Kind: commercetest.FaultStatus, Status: http.StatusUnauthorized, Skip: 30, Times: 1},
		{Method: http.MethodGet, Path: order, Kind: commercetest.FaultStatus, Status: http.StatusBadGateway, Skip: 10, Every: 97},
		{Method: http.MethodGet, Path: order, Kind: commercetest.FaultReset, Skip: 50, Every: 101},
		{Method: http.MethodGet, Path: order, Kind: commercetest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Second, Skip: 100, Times: 2},
	} {
		errs = append(errs, w.Commerce.AddFault(f))
	}
	for _, f := range []connecttest.Fault{
		{Method: http.MethodGet, Path: requests, Kind: connecttest.FaultStatus, Status: http.StatusBadGateway, Skip: 4, Every: 31},
		{Method: http.MethodGet, Path: requests, Kind: connecttest.FaultTruncate, Skip: 9, Every: 37},
	} {
		errs = append(errs, w.Connect.AddFault(f))
	}
	return errors.Join(errs...)
}
