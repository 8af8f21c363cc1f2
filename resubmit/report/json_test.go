package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// A document that was read makes the same files.
func TestReadWhatWasWritten(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*report.Document{
		"sample": sample(t, false), "hostile": hostileDocument(t, "<b>\u202e"),
	} {
		var doc bytes.Buffer
		require.NoError(t, d.WriteJSON(&doc))
		require.True(t, json.Valid(doc.Bytes()))
		require.Equal(t, 1, bytes.Count(doc.Bytes(), []byte("\n")), "one line")
		again, err := report.Read(bytes.NewReader(doc.Bytes()))
		require.NoError(t, err)
		require.Equal(t, d.Text(), again.Text(), name)
		require.Equal(t, d.Chart().Line(80, false), again.Chart().Line(80, false))
		for form, write := range map[string]func(*report.Document, io.Writer) error{
			"json": (*report.Document).WriteJSON, "csv": (*report.Document).WriteCSV, "html": (*report.Document).WriteHTML,
		} {
			var a, b bytes.Buffer
			require.NoError(t, write(d, &a))
			require.NoError(t, write(again, &b))
			require.Equal(t, a.String(), b.String(), "%s as %s", name, form)
		}
	}
}

func TestReadRejectsOtherFiles(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"":                 "EOF",
		"{}":               `it has no "kind":"cloudblue-resubmit-report"`,
		`{"kind":"other"}`: `it has no "kind":"cloudblue-resubmit-report"`,
		`{"kind":"cloudblue-resubmit-report","version":2}`:                        "the report has version 2, this library reads version 1",
		`{"kind":"cloudblue-resubmit-report","version":1,"zone":"Nowhere/Atall"}`: "Nowhere/Atall",
	} {
		_, err := report.Read(strings.NewReader(data))
		require.ErrorContains(t, err, "report: read: ", data)
		require.ErrorContains(t, err, want, data)
	}
}

func TestOmittedItems(t *testing.T) {
	t.Parallel()
	p := planOf(t, sampleHeader(), sampleEntries()...)
	in := report.Input{Plan: p, Report: sampleReport(p, false), Location: warsaw(t), Now: at("04:43:00")}
	with := documentOf(t, in)
	in.OmitItems = true
	without := documentOf(t, in)
	require.Nil(t, without.Items)
	require.Equal(t, with.Text(), without.Text())
	var a, b bytes.Buffer
	require.NoError(t, with.WriteHTML(&a))
	require.NoError(t, without.WriteHTML(&b))
	require.Equal(t, a.String(), b.String(), "the page does not need them")
}

var errDiskFull = errors.New("no space")

// fullDisk has room for some bytes.
type fullDisk struct{ room int }

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errDiskFull
	}
	return len(b), nil
}

func TestWriteReportsErrors(t *testing.T) {
	t.Parallel()
	d := sample(t, false)
	for _, room := range []int{0, 20_000, 66_000} {
		require.ErrorIs(t, d.WriteJSON(&fullDisk{room}), errDiskFull)
		require.ErrorIs(t, d.WriteHTML(&fullDisk{min(room, 40_000)}), errDiskFull)
		require.ErrorIs(t, d.WriteCSV(&fullDisk{min(room, 30_000)}), errDiskFull)
	}
}
