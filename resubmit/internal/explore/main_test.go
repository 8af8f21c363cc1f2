package explore

import (
	"testing"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hurry()
	m.Run()
}
