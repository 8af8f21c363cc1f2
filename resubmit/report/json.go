package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	kind    = "cloudblue-resubmit-report"
	version = 1
)

// WriteJSON writes the document as one JSON object on one line. [Read] reads it.
func (d *Document) WriteJSON(w io.Writer) error {
	if err := d.writeJSON(w); err != nil {
		return fmt.Errorf("report: write JSON: %w", err)
	}
	return nil
}

// writeJSON encodes the items one by one, because they may be many.
func (d *Document) writeJSON(w io.Writer) error {
	head := *d
	head.Items = nil
	var b bytes.Buffer
	enc := text.JSONEncoder(&b)
	if err := enc.Encode(&head); err != nil {
		return err
	}
	if d.Items == nil {
		_, err := w.Write(b.Bytes())
		return err
	}
	b.Truncate(b.Len() - len("}\n"))
	separator := `,"items":[`
	for i := range d.Items {
		b.WriteString(separator)
		if err := enc.Encode(&d.Items[i]); err != nil {
			return err
		}
		b.Truncate(b.Len() - len("\n"))
		separator = ","
		if b.Len() < 64<<10 {
			continue
		}
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	if len(d.Items) == 0 {
		b.WriteString(separator)
	}
	b.WriteString("]}\n")
	_, err := b.WriteTo(w)
	return err
}

// Read reads a document that [Document.WriteJSON] wrote. It rejects other files, later versions, and a document that
// was edited so that it cannot be shown.
func Read(r io.Reader) (*Document, error) {
	d := new(Document)
	err := json.NewDecoder(r).Decode(d)
	if err == nil {
		err = d.check()
	}
	if err == nil {
		d.location, err = time.LoadLocation(d.Zone)
	}
	if err != nil {
		return nil, fmt.Errorf("report: read: %w", err)
	}
	return d, nil
}

func (d *Document) check() error {
	switch {
	case d.Kind != kind:
		return fmt.Errorf("this is not a report: it has no \"kind\":%q", kind)
	case d.Version != version:
		return fmt.Errorf("the report has version %d, this library reads version %d; make it again", d.Version, version)
	}
	for i := range d.Windows {
		if w := &d.Windows[i]; w.Announced == nil && w.Observed == nil {
			return fmt.Errorf("windows[%d]: it is neither announced nor observed; make the report again", i)
		}
	}
	if err := d.Timeline.check(); err != nil {
		return fmt.Errorf("timeline: %w; make the report again", err)
	}
	return nil
}
