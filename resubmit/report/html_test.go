package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// element is one element of a page.
type element struct {
	name       string
	attributes map[string]string
	parent     *element
	children   []*element
}

// parsed returns the elements of a page in their order.
func parsed(t *testing.T, page []byte) (all []*element) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(page))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	current := new(element)
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attributes: map[string]string{}, parent: current}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			current.children = append(current.children, e)
			all = append(all, e)
			current = e
		case xml.EndElement:
			require.Equal(t, current.name, token.Name.Local)
			current = current.parent
		}
	}
}

func TestPageIsAccessible(t *testing.T) {
	t.Parallel()
	p := planOf(t, sampleHeader(), sampleEntries()...)
	for name, d := range map[string]*report.Document{
		"verified": sample(t, true), "problems": sample(t, false), "hostile": hostileDocument(t, "<b>"),
		"planned": documentOf(t, report.Input{Plan: p}),
		"empty":   documentOf(t, report.Input{Plan: planOf(t, sampleHeader())}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			require.NoError(t, d.WriteHTML(&b))
			all := parsed(t, b.Bytes())
			ids := map[string]bool{}
			for _, e := range all {
				if id := e.attributes["id"]; id != "" {
					require.False(t, ids[id], "two elements have the id %s", id)
					ids[id] = true
				}
			}
			headings, regions := 0, map[string]bool{}
			for _, e := range all {
				for id := range strings.FieldsSeq(e.attributes["aria-labelledby"]) {
					require.True(t, ids[id], "nothing has the id %s", id)
				}
				switch e.name {
				case "html":
					require.Equal(t, "en", e.attributes["lang"])
				case "table":
					require.Equal(t, "caption", e.children[0].name)
					require.Equal(t, "region", e.parent.attributes["role"], "it can be scrolled")
				case "th":
					require.NotEmpty(t, e.attributes["scope"])
				case "h1":
					headings++
				}
				if e.attributes["role"] == "region" {
					require.Equal(t, "0", e.attributes["tabindex"], "the keyboard can scroll it")
					label := e.attributes["aria-label"] + e.attributes["aria-labelledby"]
					require.NotEmpty(t, label)
					require.False(t, regions[label], "two regions have the name %s", label)
					regions[label] = true
				}
			}
			require.Equal(t, 1, headings)
		})
	}
}
