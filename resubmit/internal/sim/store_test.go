package sim_test

import (
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/journaltest"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/sim"
)

func TestStore(t *testing.T) {
	t.Parallel()
	var stores sync.Map
	journaltest.Run(t, func(dir string) (resubmit.Journal, error) {
		s, _ := stores.LoadOrStore(dir, new(sim.Store))
		return s.(*sim.Store).For(1), nil
	})
}
