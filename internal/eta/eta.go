// Package eta says how long a run takes before it begins, and in words. Package resubmit estimates when one ends.
package eta

import (
	"fmt"
	"time"
)

// CallsPerOrder is how many calls an order needs: a read, a push and its part of the verification.
const CallsPerOrder = 2.2

// AtLimit returns how long n orders take at a rate limit in calls per second, which must be positive.
func AtLimit(n int, limit float64) time.Duration {
	return time.Duration(float64(n) * CallsPerOrder / limit * float64(time.Second))
}

// Words rounds a duration for people: "under a minute", "about 4 min", "about 1 h 25 min", "over a day".
func Words(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int(d.Round(time.Minute).Minutes()))
	case d <= 24*time.Hour:
		minutes := int(d.Round(5 * time.Minute).Minutes())
		return fmt.Sprintf("about %d h %02d min", minutes/60, minutes%60)
	default:
		return "over a day"
	}
}
