package eta_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/eta"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		59 * time.Second:               "under a minute",
		4*time.Minute + 10*time.Second: "about 4 min",
		83 * time.Minute:               "about 1 h 25 min",
		3 * time.Hour:                  "about 3 h 00 min",
		25 * time.Hour:                 "over a day",
	} {
		require.Equal(t, want, eta.Words(d))
	}
}

func TestAtLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, 55*time.Second, eta.AtLimit(100, 4))
}
