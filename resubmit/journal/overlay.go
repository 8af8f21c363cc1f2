package journal

import "slices"

// overlay is the records that are not in the table yet, the last one of each order.
type overlay struct {
	slots map[string]slot
	arena []byte   // each record with room for its seal before it
	late  []string // the orders with a record that nobody waits for, and some that had one
}

// slot is what is known of an order.
type slot struct {
	from, to int // where its record is in the arena; a to of 0 is that it has none at all
	state    slotState
}

type slotState uint8

const (
	slotWritten slotState = iota // or being written
	slotQueued                   // in the batch
	slotLate
)

func newOverlay() *overlay { return &overlay{slots: make(map[string]slot)} }

// reset empties it and keeps its memory, unless that is much.
func (o *overlay) reset() {
	clear(o.slots)
	o.arena, o.late = o.arena[:0], o.late[:0]
	if cap(o.arena) > 2*arenaMost {
		o.arena = nil
	}
}

// grow makes room for a record of the usual size. The arena doubles, since what append
// does to a large slice makes five times as much garbage as there is left.
func (o *overlay) grow() {
	const room = 1 << 10
	if cap(o.arena)-len(o.arena) < room {
		o.arena = slices.Grow(o.arena, max(len(o.arena), 32*room))
	}
}

// body is the record of a slot, nil if the order has none.
func (o *overlay) body(s slot) []byte {
	if s.to == 0 {
		return nil
	}
	return o.arena[s.from:s.to:s.to]
}

// sealed is room for the seal, and the record of a slot.
func (o *overlay) sealed(s slot) []byte { return o.arena[s.from-sealSize : s.to : s.to] }

// set makes the text behind the first from bytes of the arena the record of an order.
func (o *overlay) set(id string, from int, state slotState) {
	o.slots[id] = slot{from: from + sealSize, to: len(o.arena), state: state}
}

// keep takes the record of an order that is written.
func (o *overlay) keep(id string, body []byte) {
	from := len(o.arena)
	o.arena = append(append(o.arena, make([]byte, sealSize)...), body...)
	o.set(id, from, slotWritten)
}

// appendTo appends the records of some orders to a frame, and takes them for written.
// Those that are not in the state any more have gone another way.
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
