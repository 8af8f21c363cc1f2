package maintenance_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = clientkit.Epoch()

func minute(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
