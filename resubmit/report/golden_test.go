package report_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// golden compares with a file in testdata. With UPDATE=1 it writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestGolden(t *testing.T) {
	t.Parallel()
	p := planOf(t, sampleHeader(), sampleEntries()...)
	planned := report.Input{Plan: p, Location: warsaw(t), Now: at("04:43:00")}
	empty := report.Input{Plan: planOf(t, sampleHeader()), Now: at("04:43:00")}
	for name, d := range map[string]*report.Document{
		"verified": sample(t, true), "problems": sample(t, false), "planned": documentOf(t, planned),
		"empty": documentOf(t, empty),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".svg", []byte(d.Chart().SVG(report.ChartOptions{})))
			golden(t, name+".txt", []byte(d.Text()+d.Chart().Line(100, false)+"\n"+d.Chart().Line(80, true)+"\n"))
			if name != "problems" && name != "empty" {
				return
			}
			for form, write := range map[string]func(io.Writer) error{
				".html": d.WriteHTML, ".csv": d.WriteCSV, ".json": d.WriteJSON,
			} {
				var b bytes.Buffer
				require.NoError(t, write(&b))
				golden(t, name+form, b.Bytes())
			}
		})
	}
}
