package commerce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxViewsFile is far above what people write by hand.
const maxViewsFile = 1 << 20

// LoadViews reads views in the form
//
//	{"views":[{"name":"Failed sales","statuses":["PF"],"types":["SO"],
//	  "placedFrom":"2026-11-01T00:00:00Z","placedTo":"2026-12-01T00:00:00+01:00","sort":"newest"}]}
//
// of which only name and statuses are required. Anything that is not understood
// is an error that names the view, the key and the byte offset.
func LoadViews(r io.Reader) ([]View, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxViewsFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading views: %w", err)
	}
	if len(content) > maxViewsFile {
		return nil, fmt.Errorf("the views are longer than %d bytes", maxViewsFile)
	}
	if err := number.CheckJSON(content); err != nil {
		return nil, err
	}
	p := viewsParser{dec: json.NewDecoder(bytes.NewReader(content))}
	views, err := p.file()
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(content[p.dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("byte %d: there is more after the end of the views", p.dec.InputOffset())
	}
	return views, nil
}

// LoadViewsFile is [LoadViews] from a file; its errors start with the path.
func LoadViewsFile(path string) ([]View, error) {
	f, err := os.Open(path) // #nosec G304 -- the caller names the file
	if err != nil {
		return nil, fmt.Errorf("views file: %w", err)
	}
	defer func() { _ = f.Close() }()
	views, err := LoadViews(f)
	if err != nil {
		return nil, fmt.Errorf("views file %s: %w", path, err)
	}
	return views, nil
}

type viewJSON struct {
	Name       string      `json:"name"`
	Statuses   []Status    `json:"statuses"`
	Types      []OrderType `json:"types,omitempty"`
	PlacedFrom time.Time   `json:"placedFrom,omitzero"`
	PlacedTo   time.Time   `json:"placedTo,omitzero"`
	Sort       Sort        `json:"sort,omitempty"`
}

// SaveViews writes views so that [LoadViews] reads them back. Nothing is written
// when one of them is not valid or a name occurs twice.
func SaveViews(w io.Writer, views []View) error {
	file := struct {
		Views []viewJSON `json:"views"`
	}{Views: make([]viewJSON, len(views))}
	for i, v := range views {
		if err := checkView(views[:i], v); err != nil {
			return err
		}
		file.Views[i] = viewJSON(v)
	}
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return fmt.Errorf("writing views: %w", err)
	}
	if _, err := w.Write(append(content, '\n')); err != nil {
		return fmt.Errorf("writing views: %w", err)
	}
	return nil
}

// SaveViewsFile is [SaveViews] to a file, which is replaced as a whole or not at
// all.
func SaveViewsFile(path string, views []View) error {
	var content bytes.Buffer
	if err := SaveViews(&content, views); err != nil {
		return fmt.Errorf("views file %s: %w", path, err)
	}
	if err := durable.Replace(path, content.Bytes(), 0o644); err != nil {
		return fmt.Errorf("views file: %w", err)
	}
	return nil
}

func checkView(before []View, v View) error {
	if err := v.Validate(); err != nil {
		return fmt.Errorf("view %d (%q): %w", len(before)+1, v.Name, err)
	}
	if i := slices.IndexFunc(before, func(o View) bool { return o.Name == v.Name }); i >= 0 {
		return fmt.Errorf("view %d: the name %q is that of view %d already", len(before)+1, v.Name, i+1)
	}
	return nil
}

// viewsParser walks the tokens itself, because encoding/json tells neither where
// an unknown key is nor that a key is there twice.
type viewsParser struct {
	dec *json.Decoder
}

func (p *viewsParser) file() ([]View, error) {
	var views []View
	err := p.object([]string{"views"}, func(string) error {
		return p.array(func() error {
			v, err := p.view(len(views))
			if err == nil {
				err = checkView(views, v)
			}
			views = append(views, v)
			return err
		})
	})
	if err == nil && views == nil {
		err = errors.New(`there is no view: "views" must be a list of at least one`)
	}
	return views, err
}

func (p *viewsParser) view(n int) (View, error) {
	var v View
	err := p.object([]string{"name", "statuses", "types", "placedFrom", "placedTo", "sort"}, func(key string) error {
		switch key {
		case "name":
			return p.value(key, &v.Name, "a text")
		case "statuses":
			return p.value(key, &v.Statuses, `a list of codes such as ["PF"]`)
		case "types":
			return p.value(key, &v.Types, `a list of codes such as ["SO","CH"]`)
		case "placedFrom":
			return p.value(key, &v.PlacedFrom, "a time with its zone such as 2026-11-01T00:00:00Z")
		case "placedTo":
			return p.value(key, &v.PlacedTo, "a time with its zone such as 2026-11-01T00:00:00Z")
		default:
			return p.value(key, &v.Sort, `"newest", or left out`)
		}
	})
	switch {
	case err == nil:
		return v, nil
	case v.Name != "":
		return v, fmt.Errorf("view %d (%q): %w", n+1, v.Name, err)
	default:
		return v, fmt.Errorf("view %d: %w", n+1, err)
	}
}

func (p *viewsParser) value(key string, out any, want string) error {
	var raw json.RawMessage
	at := p.dec.InputOffset()
	if err := p.dec.Decode(&raw); err != nil {
		return p.broken(err)
	}
	if string(raw) == "null" || json.Unmarshal(raw, out) != nil {
		return fmt.Errorf("byte %d: %s must be %s", at, key, want)
	}
	return nil
}

func (p *viewsParser) object(keys []string, value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	var seen []string
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return p.broken(err)
		}
		key, _ := token.(string) // JSON has no other keys
		if err := p.checkKey(key, keys, seen); err != nil {
			return err
		}
		seen = append(seen, key)
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p *viewsParser) checkKey(key string, keys, seen []string) error {
	switch {
	case slices.Contains(seen, key):
		return fmt.Errorf("byte %d: the key %q is there twice", p.dec.InputOffset(), key)
	case slices.Contains(keys, key):
		return nil
	}
	hint := "known are " + strings.Join(keys, ", ")
	if near := closest(key, keys); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Errorf("byte %d: unknown key %q: %s", p.dec.InputOffset(), key, hint)
}

func (p *viewsParser) array(element func() error) error {
	if err := p.delim('['); err != nil {
		return err
	}
	for p.dec.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return p.delim(']')
}

func (p *viewsParser) delim(want json.Delim) error {
	at := p.dec.InputOffset()
	token, err := p.dec.Token()
	if err != nil {
		return p.broken(err)
	}
	if token != want {
		return fmt.Errorf("byte %d: expected %q, found %v", at, want.String(), token)
	}
	return nil
}

func (p *viewsParser) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("byte %d: the file ends too early", p.dec.InputOffset())
	}
	return fmt.Errorf("byte %d: %w", p.dec.InputOffset(), err)
}

// closest returns the key that a mistyped one is most like, "" when none is.
func closest(key string, keys []string) string {
	best, at := "", 3
	for _, k := range keys {
		if d := text.Distance(strings.ToLower(key), strings.ToLower(k)); d < at && d < len(k) {
			best, at = k, d
		}
	}
	return best
}
