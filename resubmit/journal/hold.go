package journal

import "time"

// PutHold keeps until when a server asked to be left alone, so that a program which is
// started again heeds it too. When it returns nil that is on disk. Of several the latest
// counts; the zero time takes back what was kept.
func (j *Journal) PutHold(until time.Time) error {
	switch {
	case j.readOnly:
		return j.errorf("it is open for reading only")
	case j.Plan() == "":
		return j.errorf("it was not begun with a plan; call Begin before PutHold")
	}
	var text []byte
	if until = until.UTC(); !until.IsZero() {
		var err error
		if text, err = until.MarshalText(); err != nil {
			return j.errorf("hold: %w", err)
		}
	}
	return j.rewrite(func() func(*table) error {
		if until.IsZero() == j.hold.IsZero() && !until.After(j.hold) {
			return nil
		}
		return func(t *table) error { return t.putSaid(keyHold, text) }
	}, func() { j.hold = until })
}

// Hold returns until when a server asked to be left alone; the zero time if none did.
func (j *Journal) Hold() (time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.hold, j.usable()
}
