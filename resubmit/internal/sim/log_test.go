package sim_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/sim"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	disks := map[string]*sim.Disk{}
	resubmittest.TestJournal(t, func(place string) (resubmit.Journal, error) {
		mu.Lock()
		defer mu.Unlock()
		if disks[place] == nil {
			disks[place] = &sim.Disk{}
		}
		return sim.OpenLog(disks[place])
	})
}

func TestLogTorn(t *testing.T) {
	t.Parallel()
	disk := &sim.Disk{}
	log, err := sim.OpenLog(disk)
	require.NoError(t, err)
	require.NoError(t, log.Begin("digest"))
	require.NoError(t, log.Put(resubmit.Record{OrderID: "1", State: resubmit.RecordSending}))
	whole := len(disk.Bytes())
	require.NoError(t, log.Put(resubmit.Record{OrderID: "1", State: resubmit.RecordPushed}))
	all := disk.Bytes()
	for n := range all {
		torn := &sim.Disk{}
		require.NoError(t, torn.Append(all[:n]))
		log, err := sim.OpenLog(torn)
		require.NoError(t, err, "torn at byte %d", n)
		r, found, err := log.Get("1")
		require.NoError(t, err)
		require.Equal(t, n >= whole, found)
		if found {
			require.Equal(t, resubmit.RecordSending, r.State)
		}
		require.NoError(t, log.Begin("digest"), "the torn line is gone")
	}
}

func TestLogDamaged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\n", "0000\n", "00000000{}\n", "zzzzzzzz{}\n"} {
		disk := &sim.Disk{}
		require.NoError(t, disk.Append([]byte(text)))
		_, err := sim.OpenLog(disk)
		require.ErrorContains(t, err, "damaged at byte 0")
	}
}
