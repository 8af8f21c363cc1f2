package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

func BenchmarkAdd(b *testing.B) {
	log := open(b, filepath.Join(b.TempDir(), "audit"))
	line := audit.Line{Event: audit.EventDecision, Order: "1000042", Number: "SO000042", Rule: "never-reached",
		Why: "the call never reached Connect"}
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, log.Add(line))
	}
	require.NoError(b, log.Close())
}

func BenchmarkVerify(b *testing.B) {
	const lines = 20_000
	text, err := os.ReadFile(written(b, lines))
	require.NoError(b, err)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, err := audit.Verify(bytes.NewReader(text))
		require.NoError(b, err)
	}
	b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
