// Package wait waits for what comes first.
package wait

import (
	"context"
	"time"
)

// For waits for d, or until wake is closed or has a value, or until ctx is done. Only in the
// last case it returns an error, that of ctx.
func For(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
