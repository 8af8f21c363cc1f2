package resubmit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestWhatMayFollowARecord(t *testing.T) {
	t.Parallel()
	states := []resubmit.RecordState{
		"", resubmit.RecordSending, resubmit.RecordRefused, resubmit.RecordUnknown, resubmit.RecordPushed,
		resubmit.RecordProgressing, resubmit.RecordCompleted, resubmit.RecordFailedAgain,
		resubmit.RecordFalseSuccess, resubmit.RecordSkipped,
	}
	for _, was := range states {
		for _, next := range states[1:] {
			err := resubmit.Record{OrderID: "id-1", State: was}.CheckNext(resubmit.Record{OrderID: "id-1", State: next})
			if next == resubmit.RecordSending && was != "" && was != resubmit.RecordRefused {
				require.ErrorContains(t, err, "order id-1 is "+string(was), "%s after %s", next, was)
				continue
			}
			require.NoError(t, err, "%s after %s", next, was)
		}
	}
}
