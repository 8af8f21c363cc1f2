package resubmittest_test

import (
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

func TestExplore(t *testing.T) {
	t.Parallel()
	resubmittest.Explore(t, protocol.Policy{SettleDelay: 6 * time.Minute, MaxResubmissions: 1}, 1000)
}
