package journal

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Holder is the process that writes a journal.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// String describes the holder.
func (h Holder) String() string {
	return fmt.Sprintf("process %d (%s) on %s since %s", h.PID, text.Excerpt(h.Program, 100),
		text.Excerpt(h.Host, 100), h.Since.UTC().Format(time.RFC3339))
}

// HeldError is returned if another process has locked the journal.
type HeldError struct {
	Path string
	// Holder describes the other process; nil if unknown, as for one that only reads.
	Holder *Holder
}

// Error describes the holder.
func (e *HeldError) Error() string {
	who := "an unknown process, perhaps one that reads it"
	if e.Holder != nil {
		who = e.Holder.String()
	}
	return fmt.Sprintf("resubmit/journal: %s: in use by %s; wait until it ends, or stop it", text.Excerpt(e.Path, 4<<10),
		who)
}

// The lock itself is on the journal and is released when its process ends. The file beside
// it only describes the holder.
func holderPath(path string) string { return path + ".holder" }

func writeHolder(path, program string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	data, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Program: program,
		Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return durable.Replace(holderPath(path), append(text.EscapeJSON(data), '\n'), 0o600)
}

// readHolder returns nil if there is no valid holder file: it is only for a message.
func readHolder(path string) *Holder {
	f, err := durable.OpenFile(holderPath(path), os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	var h Holder
	err = json.NewDecoder(io.LimitReader(f, 4<<10)).Decode(&h)
	if f.Close() != nil || err != nil || h.PID == 0 {
		return nil
	}
	return &h
}

func programName() string {
	name, err := os.Executable()
	if err != nil {
		return "unknown program"
	}
	return filepath.Base(name)
}
