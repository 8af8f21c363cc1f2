package connect_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hurry()
	goleak.VerifyTestMain(m)
}
