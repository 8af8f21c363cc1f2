package journal

import "os"

// WithSync replaces what brings a file to disk.
func WithSync(sync func(*os.File) error) Option {
	return func(o *options) error {
		o.sync = sync
		return nil
	}
}

// Frames returns where each frame begins, and the end of the file.
func (f *File) Frames() (at []int64) {
	c := f.log.contents
	_ = c.frames(func(fr frame, end int64) error {
		at = append(at, fr.at-frameHead)
		return nil
	})
	return append(at, c.end)
}

// Read reads a file as another process does. It calls f before each frame and at the end.
func Read(path string, f func() error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	h, start, first, err := readHeader(file)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	s := source{file: file, header: h, start: start, first: first, end: info.Size(), partial: true}
	return s.frames(func(frame, int64) error { return f() })
}

// Reencode decodes a record and encodes it again. ok is false if it is invalid.
func Reencode(b []byte) (again []byte, ok bool) {
	r, ok := cutRecord(b)
	if !ok || !r.intact() {
		return nil, false
	}
	p, ok := r.decode()
	if !ok {
		return nil, false
	}
	if p.Removes() {
		return appendRecord(nil, record{kind: r.kind, version: r.version, back: r.back, id: r.id}, nil), true
	}
	return appendRecord(nil, record{kind: r.kind, version: r.version, back: r.back, id: r.id},
		func(c *coder) { fields(c, &p) }), true
}

// Seal sets the checksum of the record at the start of b.
func Seal(b []byte) []byte {
	return appendRecord(nil, record{kind: kindOrder, id: []byte("1"), fields: b}, nil)
}

// AppendFrame appends a valid frame with any records to a file.
func AppendFrame(file, records []byte) []byte {
	if len(file) < hashSize {
		return file
	}
	frame := append(make([]byte, framePrefix), records...)
	return append(file, seal(frame, digest(file[len(file)-hashSize:]), 1<<40)[hashSize:]...)
}
