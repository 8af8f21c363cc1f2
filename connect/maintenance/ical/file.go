package ical

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// NewFile returns a source of the calendar in a file. The path becomes the Source of its
// windows. The file is read by the first call of Windows.
func NewFile(path string, opts ...Option) (*maintenance.FileSource, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("ical: the path of the file is empty")
	}
	return maintenance.NewFileSourceFunc(path, func(path string) (maintenance.WindowSource, error) {
		schedule, err := cfg.parseFile(path)
		if err != nil {
			return nil, fmt.Errorf("ical: %w", err)
		}
		return schedule, nil
	}), nil
}

func (cfg *config) parseFile(path string) (*Schedule, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a file", path)
	}
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return cfg.parseFrom(f, path)
}
