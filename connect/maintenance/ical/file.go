package ical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// NewFile returns a source for the calendar in a file, read again when its time or size
// changes. The path becomes the Source of its windows. The file is read by the first
// call of Windows.
func NewFile(path string, opts ...Option) (*Source, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("ical: the path of the file is empty")
	}
	return &Source{from: &file{path: path, cfg: cfg}}, nil
}

// racily is the age below which a file may change again without a new modification time.
const racily = 2 * time.Second

type file struct {
	path string
	cfg  *config
}

func (f *file) fetch(ctx context.Context, last *version) (*version, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ical: %s: %w", f.path, err)
	}
	now, err := f.read(last)
	if err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return now, nil
}

func (f *file) read(last *version) (*version, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a file", f.path)
	}
	now := version{at: time.Now(), info: info}
	if last != nil && last.describes(info) {
		now.Schedule = last.Schedule
		return &now, nil
	}
	open, err := os.Open(filepath.Clean(f.path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = open.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(open, f.cfg.maxBytes+1))
	if err != nil {
		return nil, err
	}
	now.Schedule, err = f.cfg.parse(data, f.path)
	return &now, err
}

// describes reports whether a file is the one that was read.
func (v *version) describes(info fs.FileInfo) bool {
	return os.SameFile(v.info, info) && v.info.Size() == info.Size() && v.info.ModTime().Equal(info.ModTime()) &&
		v.at.Sub(info.ModTime()) > racily
}
