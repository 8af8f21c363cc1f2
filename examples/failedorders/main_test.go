package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestTheFiltersNarrowTheView(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-json", "-type", "SO,CH", "-via", "reseller", "-text", "internal server"}, "", &out, &out))
	dec := json.NewDecoder(strings.NewReader(out.String()))
	n := 0
	for ; dec.More(); n++ {
		var r row
		require.NoError(t, dec.Decode(&r))
		require.Equal(t, commerce.StatusProvisioningFailed, r.Status)
		require.Contains(t, []commerce.OrderType{commerce.TypeSales, commerce.TypeChange}, r.Type)
		require.Equal(t, commerce.ChannelReseller, r.Channel)
		require.Equal(t, resubmit.Transient, r.Class)
	}
	require.Positive(t, n)
}

func TestTheTableCountsItsRows(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), nil, "", &out, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Greater(t, len(lines), 20)
	require.Contains(t, lines[len(lines)-1], "orders")
}

func TestAViewFileWithATypoIsAOneLineError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "views.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"views":[{"name":"Stuck","statusses":["PF"]}]}`), 0o600))
	err := run(t.Context(), []string{"-views", path, "-view", "Stuck"}, "", &strings.Builder{}, &strings.Builder{})
	require.ErrorContains(t, err, "views.json")
	require.ErrorContains(t, err, "statusses")
	require.NotContains(t, err.Error(), "\n")
}
