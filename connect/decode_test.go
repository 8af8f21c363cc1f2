package connect_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

func TestRequestDecoding(t *testing.T) {
	t.Parallel()
	raw := golden(t, "request.json")
	got, err := connect.DecodeRequest([]byte(raw))
	require.NoError(t, err)
	require.Equal(t, &connect.Request{
		ID: "PR-9301-9893-8624-001", Type: connect.TypePurchase, Status: connect.StatusPending, Note: "first try",
		Created: time.Date(2026, 1, 10, 2, 14, 7, 0, time.UTC),
		Updated: time.Date(2026, 1, 10, 2, 14, 9, 250_000_000, time.UTC),
		Asset: connect.Asset{
			ID: "AS-9301-9893-8624", Status: "processing",
			ExternalID: "1000042", ExternalUID: "1c378bdd-9c8a-4566-be8a-bd90a51aa42a",
			ProductID: "PRD-403-038-754", ProductName: "Demo", HubID: "HB-1234-5678",
		},
		Raw: json.RawMessage(raw),
	}, got)
}

func TestTimeFormats(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 10, 10, 2, 0, 0, time.UTC)
	for written, want := range map[string]time.Time{
		`"2026-01-10T10:02:00Z"`:         want,
		`"2026-01-10T10:02:00+00:00"`:    want,
		`"2026-01-10T12:02:00+02:00"`:    want,
		`"2026-01-10T12:02:00+0200"`:     want,
		`"2026-01-10T10:02:00"`:          want,
		`"2026-01-10 10:02:00"`:          want,
		`"2026-01-10T10:02Z"`:            want,
		`"2026-01-10 10:02:00+00"`:       want,
		`1768039320000`:                  want,
		`"2026-01-10T10:02"`:             want,
		`"2026-01-10T10:02:00.5"`:        want.Add(500 * time.Millisecond),
		`"2026-01-10T10:02:00.000001Z"`:  want.Add(time.Microsecond),
		`"2026-01-10T05:02:00.25-05:00"`: want.Add(250 * time.Millisecond),
		`"2026-01-10"`:                   want.Truncate(24 * time.Hour),
		`""`:                             {},
		`null`:                           {},
	} {
		got, err := connect.DecodeRequest([]byte(`{"id":"PR-1","created":` + written + `}`))
		require.NoError(t, err, written)
		require.Equal(t, want, got.Created, written)
	}
}

func TestIDFormats(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		`"1000042"`: "1000042", `1000042`: "1000042", `12345678901234567890123`: "12345678901234567890123", `null`: "",
	} {
		got, err := connect.DecodeRequest([]byte(`{"id":"PR-1","asset":{"external_id":` + written + `}}`))
		require.NoError(t, err, written)
		require.Equal(t, want, got.Asset.ExternalID)
	}
}

func TestRequestDecodingRejects(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`null`:                                   "no id",
		`{}`:                                     "no id",
		`{"id":""}`:                              "no id",
		`[]`:                                     "cannot unmarshal array",
		`{"id":{}}`:                              "neither a string nor a number",
		`{"id":true}`:                            "neither a string nor a number",
		`{"id":"PR-1","created":"yesterday"}`:    `must be a time such as 2026-11-01T10:00:00Z, not "yesterday"`,
		`{"id":"PR-1","created":1700000000}`:     "must be a time such as 2026-11-01T10:00:00Z, not 1700000000",
		`{"id":"PR-1","asset":"AS-1"}`:           "cannot unmarshal string",
		`{"id":"PR-1","asset":{"product":true}}`: "cannot unmarshal bool",
	} {
		_, err := connect.DecodeRequest([]byte(body))
		require.ErrorContains(t, err, says, body)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(golden(f, "request.json")))
	f.Add([]byte(`{"id":1,"created":"2026-01-10T10:02","asset":{"external_id":null,"external_uid":2}}`))
	f.Add([]byte(`{"id":"PR-1","asset":{"connection":{"hub":{"id":"HB-1"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := connect.DecodeRequest(data)
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.NotEmpty(t, r.ID)
		require.Equal(t, time.UTC, r.Created.Location())
		require.Equal(t, string(data), string(r.Raw))
		again, err := connect.DecodeRequest(r.Raw)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func FuzzDecodeHub(f *testing.F) {
	f.Add([]byte(`{"id":"HB-1","instance":{"id":"x","type":"OA"},"last_health_check":"2026-01-10T04:01:12"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := connect.DecodeHub(data)
		if err != nil {
			require.Nil(t, h)
			return
		}
		require.NotEmpty(t, h.ID)
		require.Equal(t, time.UTC, h.LastHealthCheck.Location())
	})
}
