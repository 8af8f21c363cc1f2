package rest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cloudblue-go/cloudblue/internal/fields"
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

// defaultPause is the pause for a Retry-After that cannot be read.
const defaultPause = 30 * time.Second

// units are spellings of the units that time.ParseDuration knows.
var units = strings.NewReplacer(" ", "", "milliseconds", "ms", "seconds", "s", "second", "s", "secs", "s", "sec", "s",
	"minutes", "m", "minute", "m", "mins", "m", "min", "m", "hours", "h", "hour", "h")

// retryAfter returns the longest pause that the headers ask for: seconds, also with a fraction or a
// unit, or a date, which is compared with the Date of the answer, because the local clock may be
// wrong. It returns 0 if there is none or it is in the past.
func retryAfter(h http.Header) (longest time.Duration) {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	for _, v := range h.Values("Retry-After") {
		longest = max(longest, pauseOf(strings.TrimSpace(v), now))
	}
	return longest
}

func pauseOf(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	// A number out of range is returned as infinite.
	if seconds, err := number.ParseFloat(v, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(seconds) {
		const most = 10 * 365 * 24 * 3600 // keeps the product in range
		return time.Duration(math.Ceil(max(0, min(seconds, most)) * float64(time.Second)))
	}
	if d, err := time.ParseDuration(units.Replace(strings.ToLower(v))); err == nil {
		return d
	}
	if until, err := http.ParseTime(v); err == nil {
		return until.Sub(now)
	}
	quoted, err := json.Marshal(v)
	if err != nil {
		return defaultPause
	}
	if until, _, err := fields.ParseTime(quoted); err == nil {
		return until.Sub(now)
	}
	return defaultPause
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
