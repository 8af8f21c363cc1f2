package resubmittest

import (
	"context"
	"slices"
	"sync"
	"testing"
)

// FaultDriver injects faults into an adapter that does not use HTTP. Make the calls of the adapter with
// [FaultDriver.Call], or, if it uses database/sql, with [FaultDriver.Connector]. Set System.Inject to
// [FaultDriver.Inject], Fixture.Faults to [FaultDriver.Faults], and Ledger.Received to [FaultDriver.Pushes]. It is safe
// for concurrent use.
type FaultDriver struct {
	// Errors are the errors of calls during the faults, as the library that the adapter uses returns them. A push with a
	// fault counts as received. So give FaultUnavailable an answer of the system, such as "it is shutting down", and not
	// an error that proves that nothing was sent, such as syscall.ECONNREFUSED. Faults without an error cannot be
	// injected, except FaultResponseDelayed, during which calls return the error of their context. For FaultWrongOrder
	// the system itself must return another order.
	Errors map[Fault]error

	mu     sync.Mutex
	faults map[CallKind]*injected
	pushes int
}

// injected is a fault that was injected.
type injected struct {
	fault Fault
	ended chan struct{}
}

// Faults returns the faults that can be injected, for Fixture.Faults.
func (d *FaultDriver) Faults() []Fault {
	return slices.DeleteFunc(AllFaults(), func(f Fault) bool {
		return f == FaultWrongOrder || f != FaultResponseDelayed && d.Errors[f] == nil
	})
}

// Inject makes calls of one kind fail until stop is called, for System.Inject.
func (d *FaultDriver) Inject(_ testing.TB, f Fault, on CallKind) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := &injected{fault: f, ended: make(chan struct{})}
	if d.faults == nil {
		d.faults = map[CallKind]*injected{}
	}
	d.faults[on] = now
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(now.ended)
		if d.faults[on] == now {
			delete(d.faults, on)
		}
	})
}

// Pushes returns how many pushes there were, including those with faults, for Ledger.Received.
func (d *FaultDriver) Pushes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pushes
}

// Call makes a call, unless a fault prevents it, and returns its error or that of the fault. If ctx has ended, it only
// returns the error of ctx.
func (d *FaultDriver) Call(ctx context.Context, on CallKind, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := d.begin(on)
	switch now.fault {
	case "":
		return call()
	case FaultResponseDelayed:
		err := call()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-now.ended:
			return err
		}
	case FaultResponseLost, FaultResponseReplaced, FaultResponseTruncated:
		_ = call() // its result does not arrive
	}
	return d.Errors[now.fault]
}

// begin counts a call and returns its fault.
func (d *FaultDriver) begin(on CallKind) injected {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on == Pushes {
		d.pushes++
	}
	if now := d.faults[on]; now != nil {
		return *now
	}
	return injected{}
}

// truncatesReads reports whether responses to reads are truncated.
func (d *FaultDriver) truncatesReads() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.faults[Reads]
	return now != nil && now.fault == FaultResponseTruncated
}
