package mismatch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/mismatch"
)

func TestRows(t *testing.T) {
	t.Parallel()
	var rows mismatch.Rows
	require.Empty(t, rows.String())
	require.NoError(t, rows.Err())
	rows.Add("SO000001", `status "CP"`)
	require.EqualError(t, rows.Err(), "none of the rows that the server returned is what it was asked for: "+
		`1 row did not match the query: SO000001 (status "CP")`)
	rows.Matched()
	require.NoError(t, rows.Err())
	for i := range 6 {
		rows.Add(fmt.Sprintf("\x1b[31m%d%s", i, strings.Repeat("x", 100)), "no type")
	}
	require.Equal(t, 7, rows.Count())
	require.Len(t, rows.Named(), 5)
	text := rows.String()
	require.Contains(t, text, `7 rows did not match the query: SO000001 (status "CP"), "\x1b[31m0xxx`)
	require.True(t, strings.HasSuffix(text, " and 2 more"), text)
	require.NotContains(t, text, "\x1b")
	require.Less(t, len(text), 600)
}

func TestStatusProblem(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"PF", "I4", "ZZ", "ABC1"} {
		require.Empty(t, mismatch.StatusProblem(good))
	}
	require.Equal(t, "it has no status", mismatch.StatusProblem(""))
	for _, bad := range []string{"pf", "Pf", " PF", "P", "PROVISIONING_FAILED", "FAILED", "failed", "PF\n"} {
		require.Contains(t, mismatch.StatusProblem(bad), "is not a status code", "%q", bad)
	}
}
