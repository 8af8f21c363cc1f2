package faults_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/faults"
)

func TestFaultReadsBackWhatItWrites(t *testing.T) {
	t.Parallel()
	f := faults.Fault{
		Method: "POST", Path: "*/push", Contains: "PD", Skip: 1, Every: 2, Times: 3,
		Kind: faults.Status, After: true, Holds: "done", Delay: 250 * time.Millisecond, Status: 429, RetryAfter: 2 * time.Second,
	}
	data, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t, `{"method":"POST","path":"*/push","contains":"PD","skip":1,"every":2,"times":3,
		"kind":"status","after":true,"holds":"done","delay":"250ms","status":429,"retryAfter":"2s"}`, string(data))
	var got faults.Fault
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, f, got)
}

func TestAFaultThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"no kind", `{}`, `kind is ""`},
		{"a text in an answer that is never looked at", `{"kind":"reset","holds":"x"}`, "holds is about the answer"},
		{"an unknown kind", `{"kind":"explode"}`, `kind is "explode": want delay, reset, status, truncate or html`},
		{"an unknown field", `{"kind":"reset","tmes":1}`, `unknown field "tmes"`},
		{"a delay without its length", `{"kind":"delay"}`, `needs more than 0`},
		{"a delay that is a number of nothing", `{"kind":"delay","delay":"5"}`, `delay is "5": want a duration`},
		{"a good status", `{"kind":"status","status":200}`, `status is 200: want 400–599`},
		{"a status that would do nothing", `{"kind":"reset","status":500}`, `go with the kind "status" only`},
		{"a negative count", `{"kind":"reset","times":-1}`, `must not be negative`},
		{"a list", `[]`, `cannot unmarshal array`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := faults.Fault{Kind: faults.HTML}
			require.ErrorContains(t, json.Unmarshal([]byte(tt.text), &got), tt.want)
			require.Equal(t, faults.Fault{Kind: faults.HTML}, got, "a refused fault changes nothing")
		})
	}
	var set faults.Set
	require.ErrorContains(t, set.Add(faults.Fault{Kind: "explode"}), "explode")
	require.Empty(t, set.Counts())
}

func FuzzFaultJSON(f *testing.F) {
	f.Add(`{"kind":"status","status":429,"retryAfter":"2s"}`)
	f.Add(`{"kind":"delay","delay":"1ns","after":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		var first, second faults.Fault
		if json.Unmarshal([]byte(text), &first) != nil {
			return
		}
		data, err := json.Marshal(first)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &second))
		require.Equal(t, first, second)
	})
}
