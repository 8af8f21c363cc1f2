package connect_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

// TestConditionOnRows lists a request that a server returned although it does not know the filter.
func TestConditionOnRows(t *testing.T) {
	t.Parallel()
	const row = `[{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10T02:14:07+00:00","assignee":null,
		"contract":{"id":"CRD-1"},"note":"","marketplace":{"id":"MP-1"},"big":12345678901234567890,"assignee2":{"id":"UR-1"},
		"asset":{"id":"AS-1","external_id":1000042,"params":[{"id":"a","value":"1"},{"id":"b","value":"2"}]}}]`
	client := clientOver(t, responding(func() *http.Response { return whole(row, 1) }),
		connect.WithFilterFields("big", "note", "assignee2", "asset"))
	for text, kept := range map[string]bool{
		"eq(id,PR-1)": true, "eq(id,pr-1)": true, "eq(id,PR-2)": false, "ne(id,PR-1)": false, "ne(id,pr-1)": true,
		"in(id,(PR-2,PR-1))": true, "in(id,(PR-2,PR-3))": false, "out(id,(PR-2,PR-3))": true, "out(id,(PR-2,PR-1))": false,
		"like(id,PR-*)": true, "like(id,pr-*)": true, "ilike(id,pr-*)": true, "like(id,X*)": false, "not(ilike(id,pr-*))": false,
		"not(like(id,pr-*))": true, "eq(asset__external_id,1000042)": true, "eq(asset.external_id,7)": false,
		"eq(big,12345678901234567890)": true, "eq(big,12345678901234567891)": false,
		"ge(created,2026-01-01)": true, "ge(created,2026-01-11)": true, "ge(created,2026-02-01T00:00:00Z)": false,
		"gt(created,2026-01-10T02:14:07Z)": true, "lt(created,2025-01-01)": false, "le(created,2026-03-01)": true,
		"eq(created,2026-01-10T02:14:07Z)": true, "eq(created,2025-01-10)": true, "ge(type,a)": true, "gt(created,x)": true,
		"eq(asset.params.value,2)": true, "eq(asset.params.value,3)": false, "ne(asset.params.id,a)": false,
		"eq(assignee,null())": true, "ne(assignee,null())": true, "eq(assignee,UR-1)": true, "eq(assignee2,UR-1)": true,
		"eq(contract.id,null())": false, "ne(contract.id,null())": true, "in(contract.id,(null(),CRD-1))": true,
		"eq(contract.id,empty())": false, "eq(note,empty())": true, `eq(contract.id,"null()")`: false,
		"eq(sli.days,3)": true, "eq(asset.tiers.customer.id,TA-1)": true, "eq(asset,x)": true, "eq(asset.id,AS-2)": false,
		"or(eq(id,PR-2),eq(type,purchase))": true, "or(eq(id,PR-2),eq(type,cancel))": false,
		"or(eq(id,PR-2),eq(sli.days,3))": true, "and(eq(id,PR-1),eq(sli.days,3))": true,
		"and(eq(sli.days,3),eq(id,PR-2))": false, "(id=PR-1;id=PR-2)&type=cancel": false,
	} {
		got, err := listed(t, client, connect.RequestQuery{RQL: text})
		if kept {
			require.NoError(t, err, text)
			require.Equal(t, []string{"PR-1"}, got, text)
		} else {
			require.ErrorContains(t, err, "none of the rows that the server returned is what it was asked for", text)
			require.Empty(t, got, text)
		}
	}
}

func TestWithFilterFieldsRejectsAnEmptyField(t *testing.T) {
	t.Parallel()
	_, err := connect.New("", connect.APIKey("SU-1:x"), connect.WithFilterFields("a", ""))
	require.EqualError(t, err, "connect: WithFilterFields: the field 2 is empty")
}
