package journal_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func FuzzARecordIsWrittenAsEncodingJSONWritesIt(f *testing.F) {
	f.Add("1", "f", "sending", 1, 0, "PD", "PF", int64(1), int64(0), "because")
	f.Add("<\"\\\x01\x7f é\xff\u2028>", "", "", -1, 2, "", "&", int64(math.MinInt64), int64(math.MaxInt64), "\n")
	f.Fuzz(func(t *testing.T, id, fingerprint, state string, attempt, lost int, target, seen string, at, sent int64,
		why string) {
		r := resubmit.Record{
			OrderID: id, Fingerprint: fingerprint, State: resubmit.RecordState(state), Attempt: attempt, Lost: lost,
			Target: commerce.Status(target), Seen: commerce.Status(seen), At: time.Unix(at, at%1e9).UTC(), Why: why,
		}
		if sent != 0 {
			r.SentAt = time.Unix(sent, 0).In(time.FixedZone("", int(sent%100_000)))
		}
		want, refused := json.Marshal(r)
		got, err := journal.AppendRecord([]byte("x"), &r)
		if refused != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, "x"+string(want), string(got))
	})
}
