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

// Every calls f on a goroutine, each time after d, until f returns false or stop is called. stop waits for the last
// call.
func Every(d time.Duration, f func() bool) (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for For(context.Background(), d, over) == nil {
			select {
			case <-over:
				return
			default:
			}
			if !f() {
				return
			}
		}
	}()
	return func() { close(over); <-done }
}
