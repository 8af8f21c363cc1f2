package journal

import (
	"encoding/json"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.PatientJournal = (*Journal)(nil)

// PutPatience stores the Retry-After of a server, so that a restarted program respects it
// too. It replaces the previous one and is on disk when PutPatience returns.
func (j *Journal) PutPatience(p resubmit.Patience) error {
	switch {
	case j.readOnly:
		return j.errorf("it is open for reading only")
	case j.Plan() == "":
		return j.errorf("it was not begun with a plan; call Begin before PutPatience")
	}
	text, err := json.Marshal(p)
	if err != nil {
		return j.errorf("patience: %w", err)
	}
	return j.rewrite(func() func(*table) error {
		return func(t *table) error { return t.putMetadata(keyPatience, text) }
	}, func() { j.patience = p })
}

// Patience returns what PutPatience stored; zero if nothing.
func (j *Journal) Patience() (resubmit.Patience, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.patience, j.usable()
}
