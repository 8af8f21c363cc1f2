package connecttest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

// No call can violate this rule, so the test changes the request directly.
func TestRuleMaintenance(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	s.SetMaintenance(true)
	_, err := s.AddRequest(RequestSpec{ExternalUID: "u", Type: connect.TypePurchase, Status: connect.StatusPending})
	require.NoError(t, err)
	require.Empty(t, s.Violations(), "adding histories is allowed")
	s.move(s.store.inOrder[0], move{to: connect.StatusApproved, at: s.now(), origin: OriginHTTP})
	require.Len(t, s.Violations(), 1)
	require.Equal(t, RuleMaintenance, s.Violations()[0].Rule)
}
