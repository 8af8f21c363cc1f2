package resubmit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestRecordCheckNext(t *testing.T) {
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

func TestRecordCheckNextAllowsAttemptsAfterUnknownOnly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		was, next resubmit.Record
		refused   bool
	}{
		"one more push, one more without an answer": {
			resubmit.Record{State: "unknown", Attempt: 2, Lost: 1}, resubmit.Record{State: "sending", Attempt: 3, Lost: 2},
			false,
		},
		"nothing is said of a policy": {
			resubmit.Record{State: "unknown", Attempt: 1}, resubmit.Record{State: "sending", Attempt: 2}, true,
		},
		"another run has made that attempt": {
			resubmit.Record{State: "unknown", Attempt: 2, Lost: 1}, resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, true,
		},
		"an attempt is left out": {
			resubmit.Record{State: "unknown", Attempt: 1}, resubmit.Record{State: "sending", Attempt: 3, Lost: 1}, true,
		},
		"the push may be under way": {
			resubmit.Record{State: "sending", Attempt: 1}, resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, true,
		},
		"the push was accepted": {
			resubmit.Record{State: "pushed", Attempt: 1}, resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, true,
		},
		"the order failed again": {
			resubmit.Record{State: "failedAgain", Attempt: 1}, resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.was.CheckNext(tt.next)
			require.Equal(t, tt.refused, err != nil)
		})
	}
}
