package resubmittest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// The suites call adapters in goroutines, also those that hang until their system ends.
func TestMain(m *testing.M) {
	testkit.Hurry()
	goleak.VerifyTestMain(m)
}
