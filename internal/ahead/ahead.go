// Package ahead computes the values of a sequence on another goroutine than the one that uses them.
package ahead

import (
	"iter"
	"sync"
)

// Of yields what seq yields, which is computed up to n values ahead on a goroutine of its own. That
// has ended when the loop over the sequence ends, however it does. A panic of seq becomes one of
// the loop.
func Of[T any](n int, seq iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		values, stop := make(chan T, n), make(chan struct{})
		var producer sync.WaitGroup
		var panicked any
		defer producer.Wait()
		defer close(stop)
		producer.Go(func() {
			defer close(values)
			defer func() { panicked = recover() }()
			for v := range seq {
				select {
				case values <- v:
				case <-stop:
					return
				}
			}
		})
		for v := range values {
			if !yield(v) {
				return
			}
		}
		if panicked != nil {
			panic(panicked) //nolint:forbidigo // it is that of seq
		}
	}
}
