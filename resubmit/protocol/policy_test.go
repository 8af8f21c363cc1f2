package protocol_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func byType(p protocol.RetryPolicy) protocol.RetryPolicy {
	return protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{"SO": p}}
}

func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	p := protocol.Policy{}.WithDefaults()
	require.Equal(t, settle, p.SettleDelay)
	require.Equal(t, timeout, p.PushTimeout)
	require.Equal(t, 10*time.Second, p.MaxClaimAge)
	require.Equal(t, protocol.RetryPolicy{MaxAttempts: 2, Spacing: spacing}, p.Retry)
	require.Equal(t, 3, p.MaxResubmissions)
	require.Equal(t, protocol.DefaultTargets(), p.Targets)
	require.NotNil(t, p.Classifier)
	require.Empty(t, p.Validate())

	short := protocol.Policy{SettleDelay: 4 * time.Second}.WithDefaults()
	require.Equal(t, 2*time.Second, short.PushTimeout)
	require.Equal(t, time.Second, short.MaxClaimAge)
	require.Empty(t, short.Validate())
}

func TestPolicyIsData(t *testing.T) {
	t.Parallel()
	p := protocol.Policy{Retry: byType(protocol.RetryPolicy{MaxAttempts: 1})}.WithDefaults()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	var read protocol.Policy
	require.NoError(t, json.Unmarshal(text, &read))
	p.Classifier = nil
	require.Equal(t, p, read)
}

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy protocol.Policy
		want   string // "" if it is valid
	}{
		"zero":                     {protocol.Policy{}, ""},
		"no targets":               {protocol.Policy{Targets: []commerce.Status{}}, "Targets is empty"},
		"cancel":                   {protocol.Policy{Targets: []commerce.Status{"CL"}}, `Targets has "CL"`},
		"negative settle delay":    {protocol.Policy{SettleDelay: -1}, "SettleDelay is -1ns"},
		"tiny claim age":           {protocol.Policy{MaxClaimAge: time.Microsecond}, "MaxClaimAge is 1µs"},
		"negative push timeout":    {protocol.Policy{PushTimeout: -time.Second}, "PushTimeout is -1s"},
		"settle delay too short":   {protocol.Policy{PushTimeout: settle - 10*time.Second}, "it must be longer than PushTimeout"},
		"settle delay long enough": {protocol.Policy{PushTimeout: settle - 11*time.Second}, ""},
		"negative limit":           {protocol.Policy{MaxResubmissions: -1}, "MaxResubmissions is -1"},
		"negative attempts":        {protocol.Policy{Retry: protocol.RetryPolicy{MaxAttempts: -1}}, "Retry.MaxAttempts is -1"},
		"negative spacing":         {protocol.Policy{Retry: protocol.RetryPolicy{Spacing: -2}}, "Retry.Spacing is -2ns"},
		"spacing of two delays":    {protocol.Policy{Retry: protocol.RetryPolicy{Spacing: -1}}, ""},
		"attempts of a type": {
			protocol.Policy{Retry: byType(protocol.RetryPolicy{MaxAttempts: -1})},
			`Retry.ByType["SO"].MaxAttempts is -1`,
		},
		"types of a type": {
			protocol.Policy{Retry: byType(byType(protocol.RetryPolicy{}))},
			`Retry.ByType["SO"] has a ByType of its own`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := errors.Join(tc.policy.Validate()...)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestRequestType(t *testing.T) {
	t.Parallel()
	p := protocol.Policy{RequestTypes: map[commerce.OrderType]connect.RequestType{
		commerce.TypeChange: connect.TypeSuspend, commerce.TypeSales: "",
	}}
	request, leads := p.RequestType(commerce.TypeChange)
	require.Equal(t, connect.TypeSuspend, request)
	require.True(t, leads)
	_, leads = p.RequestType(commerce.TypeSales)
	require.False(t, leads)
	request, leads = (&protocol.Policy{}).RequestType(commerce.TypeSales)
	require.Equal(t, connect.TypePurchase, request)
	require.True(t, leads)
}
