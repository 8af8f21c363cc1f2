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
	const head = `{"kind":"cloudblue-resubmit-report","version":1,`
	for data, want := range map[string]string{
		"":                 "EOF",
		"{}":               `it has no "kind":"cloudblue-resubmit-report"`,
		`{"kind":"other"}`: `it has no "kind":"cloudblue-resubmit-report"`,
		`{"kind":"cloudblue-resubmit-report","version":2}`: "the report has version 2, this library reads version 1",
		head + `"zone":"Nowhere/Atall"}`:                   "Nowhere/Atall",
		head + `"windows":[{"id":"a"}]}`:                   "windows[0]: it is neither announced nor observed",
		head + `"timeline":{"from":"2026-11-21T00:00:00Z","to":"2026-11-21T01:00:00Z"}}`: "timeline: it does not have " +
			"between 1 and 60 bins; make the report again",
		head + `"timeline":{"from":"2026-11-21T00:00:00Z","to":"2026-11-23T00:00:00Z","binMinutes":1}}`: "between 1 and 60",
		head + `"timeline":{"from":"2026-11-21T00:00:00Z","to":"2026-11-21T01:00:00Z","binMinutes":1,"bins":[` +
			`{"start":"2026-11-21T01:00:00Z","transient":1}]}}`: "the bin of 2026-11-21T01:00:00Z is negative or outside",
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

func FuzzRead(f *testing.F) {
	for _, d := range []*report.Document{sample(f, false), hostileDocument(f, "<b>")} {
		var b bytes.Buffer
		d.Items, d.People = d.Items[:1], d.People[:1]
		require.NoError(f, d.WriteJSON(&b))
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"kind":"cloudblue-resubmit-report","version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := report.Read(bytes.NewReader(data))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		_ = d.Text()
		_ = d.Chart().Line(80, true)
		require.NoError(t, d.WriteHTML(io.Discard))
		if err := d.WriteCSV(io.Discard); err != nil {
			require.ErrorIs(t, err, report.ErrNoItems)
		}
		_ = d.WriteJSON(io.Discard) // fails for years beyond 9999
	})
}
