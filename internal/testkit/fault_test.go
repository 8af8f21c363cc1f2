package testkit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestFaultJSONRoundTrip(t *testing.T) {
	t.Parallel()
	f := testkit.Fault{
		Method: "POST", Path: "*/push", Contains: "PD", Skip: 1, Every: 2, Times: 3,
		Kind: testkit.FaultStatus, After: true, Holds: "done", Delay: 250 * time.Millisecond, Status: 429,
		RetryAfter: 2 * time.Second,
	}
	data, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t, `{"method":"POST","path":"*/push","contains":"PD","skip":1,"every":2,"times":3,
		"kind":"status","after":true,"holds":"done","delay":"250ms","status":429,"retryAfter":"2s"}`, string(data))
	var got testkit.Fault
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, f, got)
}

func TestFaultValidation(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"no kind", `{}`, `kind is ""`},
		{"holds without an answer", `{"kind":"reset","holds":"x"}`, "holds is about the answer"},
		{"unknown kind", `{"kind":"explode"}`, `kind is "explode": want delay, reset, status, truncate or html`},
		{"unknown field", `{"kind":"reset","tmes":1}`, `unknown key "tmes" (did you mean "times"?)`},
		{"delay without a duration", `{"kind":"delay"}`, `needs more than 0`},
		{"delay without a unit", `{"kind":"delay","delay":"5"}`, `delay is "5": want a duration`},
		{"status of success", `{"kind":"status","status":200}`, `status is 200: want 400–599`},
		{"status with another kind", `{"kind":"reset","status":500}`, `go with the kind "status" only`},
		{"negative count", `{"kind":"reset","times":-1}`, `must not be negative`},
		{"list", `[]`, `must be an object in braces`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := testkit.Fault{Kind: testkit.FaultHTML}
			require.ErrorContains(t, json.Unmarshal([]byte(tt.text), &got), tt.want)
			require.Equal(t, testkit.Fault{Kind: testkit.FaultHTML}, got, "an invalid fault changes nothing")
		})
	}
	var set testkit.Faults
	require.ErrorContains(t, set.Add(testkit.Fault{Kind: "explode"}), "explode")
	require.Empty(t, set.Counts())
}

func FuzzFaultJSON(f *testing.F) {
	f.Add(`{"kind":"status","status":429,"retryAfter":"2s"}`)
	f.Add(`{"kind":"delay","delay":"1ns","after":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		var first, second testkit.Fault
		if json.Unmarshal([]byte(text), &first) != nil {
			return
		}
		data, err := json.Marshal(first)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &second))
		require.Equal(t, first, second)
	})
}
