package journal

import "slices"

// overlay holds the records that are not in the table yet, the last one of each order.
type overlay struct {
	slots map[string]slot
	arena []byte   // each record, preceded by room for its seal
	late  []string // orders with a record of PutLater, and some that had one
}

// slot is the place of an order's record.
type slot struct {
	from, to int // in the arena; to is 0 if the order has no record
	state    slotState
}

type slotState uint8

const (
	slotWritten slotState = iota // or being written
	slotQueued                   // in the batch
	slotLate
)

func newOverlay() *overlay { return &overlay{slots: make(map[string]slot)} }

// reset empties the overlay and keeps its memory, unless it is large.
func (o *overlay) reset() {
	clear(o.slots)
	o.arena, o.late = o.arena[:0], o.late[:0]
	if cap(o.arena) > 2*arenaMost {
		o.arena = nil
	}
}

// grow makes room for a record of usual size. It doubles the arena, which makes less
// garbage than append does for large slices.
func (o *overlay) grow() {
	const room = 1 << 10
	if cap(o.arena)-len(o.arena) < room {
		o.arena = slices.Grow(o.arena, max(len(o.arena), 32*room))
	}
}

// body returns the record of a slot, nil if the order has none.
func (o *overlay) body(s slot) []byte {
	if s.to == 0 {
		return nil
	}
	return o.arena[s.from:s.to:s.to]
}

// sealed returns the room for the seal and the record of a slot.
func (o *overlay) sealed(s slot) []byte { return o.arena[s.from-sealSize : s.to : s.to] }

// set makes arena[from:] the record of an order.
func (o *overlay) set(id string, from int, state slotState) {
	o.slots[id] = slot{from: from + sealSize, to: len(o.arena), state: state}
}

// keep adds a record that is already written.
func (o *overlay) keep(id string, body []byte) {
	from := len(o.arena)
	o.arena = append(append(o.arena, make([]byte, sealSize)...), body...)
	o.set(id, from, slotWritten)
}

// appendTo appends records to a frame and marks them as written. Those no longer in the
// given state were written otherwise.
func (o *overlay) appendTo(frame []byte, ids []string, state slotState) []byte {
	for _, id := range ids {
		s := o.slots[id]
		if s.state != state {
			continue
		}
		s.state = slotWritten
		o.slots[id] = s
		frame = appendEntry(frame, id, o.body(s))
	}
	return frame
}
