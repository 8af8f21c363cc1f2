package watch_test

import (
	"os"
	"testing"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hurry()
	os.Exit(m.Run())
}
