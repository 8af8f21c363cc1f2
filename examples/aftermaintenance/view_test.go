package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTextsForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0 s", 90 * time.Second: "90 s", 39 * time.Minute: "39 min",
		62 * time.Minute: "62 min", 3*time.Hour + time.Minute: "3 h 01 min", 49 * time.Hour: "2 days", -time.Hour: "0 s"} {
		require.Equal(t, want, span(d))
	}
	require.Equal(t, "'it'\\''s'", shellWord("it's"))
	require.Equal(t, "/var/lib/x", shellWord("/var/lib/x"))
	require.Equal(t, "''", shellWord(""))
}
