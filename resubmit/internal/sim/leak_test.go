package sim_test

import (
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(800) // worlds allocate much and keep little
	goleak.VerifyTestMain(m)
}
