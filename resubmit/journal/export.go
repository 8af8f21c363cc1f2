package journal

import (
	"bufio"
	"encoding/json"
	"io"
)

// Export writes the journal as JSON lines: first
//
//	{"kind":"cloudblue-resubmit-journal","version":1,"createdAt":"…","plan":"sha256:…"}
//
// then one [resubmit.Record] per line, in the order of the ids. During a run the lines may
// be of different times.
func (j *Journal) Export(w io.Writer) error {
	j.mu.Lock()
	first := struct {
		format
		Plan string `json:"plan"`
	}{j.format, j.plan}
	j.mu.Unlock()
	line, err := json.Marshal(first)
	if err != nil {
		return j.errorf("%w", err)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if _, err := out.Write(append(line, '\n')); err != nil {
		return j.errorf("export: %w", err)
	}
	err = j.each(func(_, body []byte) error {
		if _, err := out.Write(body); err != nil {
			return err
		}
		return out.WriteByte('\n')
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return j.errorf("export: %w", err)
	}
	return nil
}
