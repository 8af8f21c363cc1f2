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

// String names the holder.
func (h Holder) String() string {
	return fmt.Sprintf("process %d (%s) on %s since %s", h.PID, text.Excerpt(h.Program, 100),
		text.Excerpt(h.Host, 100), h.Since.UTC().Format(time.RFC3339))
}

// HeldError says that another process has the journal.
type HeldError struct {
	Path string
	// Holder is what the other process left about itself; nil if it left nothing,
	// as one that only reads.
	Holder *Holder
}

// Error names the holder.
func (e *HeldError) Error() string {
	who := "another process, which does not tell its name; a journal that is only looked at is held too"
	if e.Holder != nil {
		who = e.Holder.String()
	}
	return fmt.Sprintf("resubmit/journal: %s: in use by %s; wait for its end, or stop it", text.Excerpt(e.Path, 4<<10),
		who)
}

// The lock itself is on the journal, and goes when its process goes, however that
// ends. The file beside it only says who has it.
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

// readHolder returns nil for whatever is no holder: it only serves a message.
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
