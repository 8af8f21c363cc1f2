package journal

import (
	"encoding/json"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.PatientJournal = (*Journal)(nil)

// PutPatience keeps that a server asked to be left alone, so that a program which is
// started again heeds it too, in place of what was kept before. When it returns nil that
// is on disk.
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
		return func(t *table) error { return t.putSaid(keyPatience, text) }
	}, func() { j.patience = p })
}

// Patience returns what was kept last, zero for nothing.
func (j *Journal) Patience() (resubmit.Patience, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.patience, j.usable()
}
