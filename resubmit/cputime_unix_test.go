//go:build unix

package resubmit_test

import (
	"syscall"
	"time"
)

// cpuTime is the time that all processors have spent for this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
