package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// newBackOff returns the waits of one call; a BackOff must not be shared. Each wait is random
// between 0 and twice the interval, which is full jitter over 1 s, 2 s, 4 s, …
func newBackOff(ctx context.Context, maxWait time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = min(500*time.Millisecond, maxWait/2)
	b.MaxInterval = maxWait / 2
	b.Multiplier = 2
	b.RandomizationFactor = 1
	if ctx.Value(steady{}) != nil {
		b.RandomizationFactor = 0
	}
	return b
}

type steady struct{}

// Steady returns a context whose calls wait the mean of the jitter before a retry, for
// reproducible simulations.
func Steady(ctx context.Context) context.Context { return context.WithValue(ctx, steady{}, true) }

func retryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// retryAfter parses the header in both its forms. It returns 0 if the header is absent, in the
// past, or invalid.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	// A number out of range is returned as the nearest one in range.
	if seconds, err := number.ParseInt(v, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		const most = int64(10 * 365 * 24 * time.Hour / time.Second) // keeps the product in range
		return time.Duration(max(0, min(seconds, most))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// sleep waits, or returns the error of the context when that ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
