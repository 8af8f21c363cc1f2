package journal_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func FuzzARecordIsReadAsEncodingJSONReadsIt(f *testing.F) {
	for _, text := range []string{
		`{"id":"1","fingerprint":"f","state":"completed","attempt":1,"lost":2,"target":"PD","seen":"CP",` +
			`"at":"2026-03-07T02:00:00.5Z","sentAt":"2026-03-07T02:00:00+01:00","why":"é → \u2028 😀"}`,
		`{"id":"1","fingerprint":"f","state":"completed","attempt":1,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":01,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":-1,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":1.5,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":99999999999999999999,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":1,"at":"2026-03-07T02:00:00Z","at":"2026-03-07T2:00:00Z"}`,
		`{"id":"1","fingerprint":"","state":"","attempt":1,"at":"2026-03-07 02:00:00Z"}`,
		`{"id":"1\"","fingerprint":"\n","state":"","attempt":1,"at":"2026-03-07T02:00:00Z","later":[1]}`,
		"{\"id\":\"\xff\",\"fingerprint\":\"\x01\",\"state\":\"\",\"attempt\":1,\"at\":\"2026-03-07T02:00:00Z\"}",
		` {"ID":null}`, `{"id":"1"`, `{}`, ``, `null`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, _, err := journal.ReadRecord(body)
		var want resubmit.Record
		if refused := json.Unmarshal(body, &want); refused != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
		if written, err := journal.AppendRecord(nil, &want); err == nil {
			head, err := journal.ReadHead([]byte(want.OrderID), written)
			require.NoError(t, err)
			require.Equal(t, want.Head(), head)
		}
	})
}

func TestUsualRecordsAreParsedByHand(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 7, 2, 0, 0, 123456789, time.FixedZone("", 3600))
	for why, byHand := range map[string]bool{
		"": true, "moved since the plan was made: status PF → CP": true, "an \"error\"": false,
	} {
		for _, r := range []resubmit.Record{
			{OrderID: "8f5b1c1e-1", Fingerprint: "00", State: resubmit.RecordSkipped, Attempt: 0, At: at, Why: why},
			{OrderID: "1", Fingerprint: "f", State: resubmit.RecordCompleted, Attempt: 12, Lost: 11, Target: "PD", Seen: "CP",
				At: at, SentAt: at, Why: why},
		} {
			body, err := journal.AppendRecord(nil, &r)
			require.NoError(t, err)
			head, err := journal.ReadHead([]byte(r.OrderID), body)
			require.NoError(t, err)
			require.Equal(t, r.Head(), head)
			_, err = journal.ReadHead([]byte("2"), body)
			require.ErrorIs(t, err, journal.ErrDamaged)
			got, plain, err := journal.ReadRecord(body)
			require.NoError(t, err)
			require.Equal(t, byHand, plain)
			require.True(t, got.At.Equal(r.At) && got.SentAt.Equal(r.SentAt))
			got.At, got.SentAt = r.At, r.SentAt
			require.Equal(t, r, got)
		}
	}
}

func TestHeadOfRecordWithEscapes(t *testing.T) {
	t.Parallel()
	for _, r := range []resubmit.Record{
		{OrderID: "1", Fingerprint: "a&b", State: resubmit.RecordSkipped, Seen: "A"},
		{OrderID: "1", Fingerprint: "f", State: resubmit.RecordSkipped, Seen: "A<B"},
		{OrderID: "\"1\n", Fingerprint: "f", State: resubmit.RecordSkipped, Seen: "Ä"},
	} {
		body, err := journal.AppendRecord(nil, &r)
		require.NoError(t, err)
		head, err := journal.ReadHead([]byte(r.OrderID), body)
		require.NoError(t, err)
		require.Equal(t, r.Head(), head)
	}
	for _, body := range []string{
		`{"id":"1","fingerprint":"f","state":"completed","attempt":1`,
		`{"id":"1","fingerprint":"f","state":"completed","attempt":1.5,"at":"2026-03-07T02:00:00Z"}`,
		`{"id":"1","fingerprint":"f","state":"completed","attempt":1,"ID":"2","at":"2026-03-07T02:00:00Z"}`,
	} {
		_, err := journal.ReadHead([]byte("1"), []byte(body))
		require.ErrorIs(t, err, journal.ErrDamaged)
	}
}
