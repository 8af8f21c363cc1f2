package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyTheTicketsThatTheMaintenanceBrokeAreTriedAgain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "T-1: caused, resubmit")
	require.Contains(t, out.String(), "T-2: unrelated, quarantine")
	require.NotContains(t, out.String(), "T-3", "it broke before the window")
	require.NotContains(t, out.String(), "T-4", "it is not broken")
	require.Contains(t, out.String(), "T-5: caused, resubmit")
	require.Contains(t, out.String(), "is not decided yet: a person is asked at /plan")
	require.Contains(t, out.String(), "2 orders resubmitted: 2 completed")
}

func TestNobodyApprovesAPlanThatWasNotLookedAt(t *testing.T) {
	t.Parallel()
	d := &desk{digest: "sha256:new", wake: func() { t.Error("the watcher was woken") }}
	for _, digest := range []string{"", "sha256:old"} {
		answer := httptest.NewRecorder()
		d.routes().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/approve?plan="+digest, nil))
		require.Equal(t, http.StatusConflict, answer.Code)
		require.Empty(t, d.approved)
	}
}
