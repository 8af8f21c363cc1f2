package maintenance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// answerStore is a directory with the last good answer of each source; "" stores nothing.
type answerStore struct{ dir string }

// answerFile is the format of such a file.
type answerFile struct {
	Version  int           `json:"version"`
	Source   string        `json:"source"`
	At       time.Time     `json:"at"`
	Range    Span          `json:"range"`
	Windows  []Window      `json:"windows"`
	Warnings []warningFile `json:"warnings,omitempty"`
}

type warningFile struct {
	Kind   string `json:"kind"`
	Span   Span   `json:"span"`
	Window string `json:"window,omitempty"`
	Text   string `json:"text"`
}

const answerVersion = 1

var answerFormat = jsonfile.Format[answerFile]{MaxBytes: 64 << 20, AllowNull: true}

// warningKinds maps names in a file to the kinds that a good answer can have.
var warningKinds = map[string]error{"incomplete": ErrIncomplete, "uncertain": ErrUncertain}

func openAnswerStore(dir string) (answerStore, error) {
	if dir == "" {
		return answerStore{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return answerStore{}, fmt.Errorf("directory of the last good answers: %w", err)
	}
	return answerStore{dir: dir}, nil
}

func (s answerStore) path(name string) string { return filepath.Join(s.dir, name+".json") }

// load reads the stored answer of a source; nil if there is none or it is unreadable.
func (s answerStore) load(name string) (*keptAnswer, error) {
	if s.dir == "" {
		return nil, nil
	}
	f, err := os.Open(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the last good answer cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	answer, err := readAnswer(f, name)
	if err != nil {
		return nil, fmt.Errorf("the last good answer in %s cannot be used: %w", s.path(name), err)
	}
	return answer, nil
}

func readAnswer(r io.Reader, name string) (*keptAnswer, error) {
	file, err := answerFormat.Read(r)
	if err != nil {
		return nil, fmt.Errorf("it is broken: %w", err)
	}
	switch {
	case file.Version != answerVersion:
		return nil, fmt.Errorf("it has version %d, this program reads %d", file.Version, answerVersion)
	case file.Source != name:
		return nil, fmt.Errorf("it belongs to the source %q", file.Source)
	case file.At.IsZero() || !file.Range.Start.Before(file.Range.End):
		return nil, errors.New("it is broken: it has no time or no range")
	}
	answer := &keptAnswer{At: file.At.UTC(), Span: file.Range}
	for _, w := range file.Warnings {
		kind, ok := warningKinds[w.Kind]
		if !ok {
			return nil, fmt.Errorf("it is broken: unknown kind of warning %q", w.Kind)
		}
		answer.Warnings = append(answer.Warnings, &SourceWarning{
			Kind: kind, Span: w.Span, WindowID: w.Window, Err: errors.New(w.Text),
		})
	}
	fit, odd := usable(file.Windows)
	if len(odd) > 0 && len(fit) < len(file.Windows) {
		return nil, fmt.Errorf("it is broken: %w", errors.Join(odd...))
	}
	answer.Windows = fit
	return answer, nil
}

// save replaces the stored answer of a source atomically.
func (s answerStore) save(name string, a *keptAnswer) error {
	if s.dir == "" {
		return nil
	}
	return answerFormat.WriteFile(s.path(name), a.file(name), 0o600)
}

func (a *keptAnswer) file(name string) answerFile {
	file := answerFile{Version: answerVersion, Source: name, At: a.At, Range: a.Span, Windows: a.Windows}
	for _, w := range a.Warnings {
		for kind, is := range warningKinds {
			if errors.Is(w.Kind, is) {
				file.Warnings = append(file.Warnings, warningFile{Kind: kind, Span: w.Span, Window: w.WindowID,
					Text: w.Err.Error()})
			}
		}
	}
	return file
}
