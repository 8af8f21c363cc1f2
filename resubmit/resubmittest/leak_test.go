package resubmittest_test

import (
	"testing"

	"go.uber.org/goleak"
)

// The suites call adapters in goroutines, also those that hang until their system ends.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
