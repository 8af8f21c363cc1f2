package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

func TestFlagsSelectOrders(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(),
		[]string{"-json", "-type", "SO,CH", "-via", "reseller", "-text", "internal server"}, "", &out, io.Discard))
	dec := json.NewDecoder(strings.NewReader(out.String()))
	n := 0
	for ; dec.More(); n++ {
		var r row
		require.NoError(t, dec.Decode(&r))
		require.Equal(t, commerce.StatusProvisioningFailed, r.Status)
		require.Contains(t, []commerce.OrderType{commerce.TypeSales, commerce.TypeChange}, r.Type)
		require.Equal(t, commerce.ChannelReseller, r.Channel)
		require.Equal(t, failure.Transient, r.Class)
	}
	require.Positive(t, n)
}

func TestTableCountsItsRows(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), nil, "", &out, io.Discard))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Greater(t, len(lines), 20)
	require.Contains(t, lines[len(lines)-1], "orders")
}

func TestGroupsSumUpToTheTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), nil, "", &out, io.Discard))
	table, groups, found := strings.Cut(out.String(), "By reason, ")
	require.True(t, found)
	var sum, orders int
	for line := range strings.Lines(groups) {
		var n int
		if _, err := fmt.Sscan(line, &n); err == nil {
			sum += n
			orders = n // the last line
		}
	}
	require.Equal(t, 2*orders, sum)
	require.Greater(t, strings.Count(table, "\n"), orders)
}

func TestViewFileWithATypo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "views.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"views":[{"name":"Stuck","statusses":["PF"]}]}`), 0o600))
	err := run(t.Context(), []string{"-views", path, "-view", "Stuck"}, "", io.Discard, io.Discard)
	require.ErrorContains(t, err, "views.json")
	require.ErrorContains(t, err, "statusses")
	require.NotContains(t, err.Error(), "\n")
}

func TestUsageErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no token":            {[]string{"-commerce", "https://mn.example.net"}, "COMMERCE_TOKEN"},
		"the sandbox's flags": {[]string{"-commerce", "https://mn.example.net", "-seed", "3"}, "-seed"},
		"no orders":           {[]string{"-orders", "-1"}, "1 to 100000"},
		"no such channel":     {[]string{"-via", "pigeon"}, "direct or reseller"},
		"no types":            {[]string{"-type", ""}, "-type is empty"},
		"an unknown flag":     {[]string{"-tpye", "SO"}, "-tpye"},
		"no such view":        {[]string{"-view", "Lost"}, "Failed Orders"},
	} {
		err := run(t.Context(), c.args, "", io.Discard, io.Discard)
		require.ErrorContains(t, err, c.says, name)
		require.NotContains(t, err.Error(), "\n", name)
		require.Equal(t, cli.ExitUsage, cli.Status("failedorders", err, io.Discard), name)
	}
}

func TestUnknownTypesCauseWarnings(t *testing.T) {
	t.Parallel()
	var errs strings.Builder
	require.NoError(t, run(t.Context(), []string{"-type", "so", "-orders", "1"}, "", io.Discard, &errs))
	require.Contains(t, errs.String(),
		`failedorders: warning: type "so" is not a known code: did you mean SO`)
}

func TestClientErrorsNameFlags(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-commerce", "mn.example.net"}, "token", io.Discard, io.Discard)
	require.ErrorContains(t, err, "-commerce and COMMERCE_TOKEN: ")
	err = run(t.Context(), []string{"-views", filepath.Join(t.TempDir(), "none")}, "", io.Discard, io.Discard)
	require.ErrorContains(t, err, "-views: ")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	require.Equal(t, cli.ExitDone,
		cli.Status("failedorders", run(t.Context(), []string{"-help"}, "", &out, io.Discard), &errs))
	require.Contains(t, out.String(), "usage: failedorders [flags]")
	require.Contains(t, out.String(), "COMMERCE_TOKEN")
	require.Empty(t, errs.String())
}
