package report_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// BenchmarkNew makes and writes the document of 100 000 orders.
func BenchmarkNew(b *testing.B) {
	r := rand.New(rand.NewPCG(14, 2))
	var file bytes.Buffer
	w, err := plan.NewWriter(&file, sampleHeader())
	require.NoError(b, err)
	for n := range 100_000 {
		e := sampleEntry(n, at("01:00:00").Add(time.Duration(n)*100*time.Millisecond), r)
		require.NoError(b, w.Write(&e))
	}
	_, _, err = w.Close()
	require.NoError(b, err)
	p, err := plan.Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
	require.NoError(b, err)
	in := report.Input{Plan: p, Report: sampleReport(p, false), Observed: sampleObserved(), Location: warsaw(b)}
	d := documentOf(b, in)
	b.Run("orders=100000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			documentOf(b, in)
		}
	})
	b.Run("orders=100000/without_items", func(b *testing.B) {
		in := in
		in.OmitItems = true
		b.ReportAllocs()
		for b.Loop() {
			documentOf(b, in)
		}
	})
	for name, write := range map[string]func(io.Writer) error{
		"json": d.WriteJSON, "csv": d.WriteCSV, "html": d.WriteHTML,
	} {
		b.Run("orders=100000/write="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, write(io.Discard))
			}
		})
	}
}
