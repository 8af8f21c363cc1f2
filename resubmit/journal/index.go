package journal

import "hash/maphash"

const (
	// offsetBits and hashBits are what a slot of the index has of an offset and of a hash.
	offsetBits = 36
	hashBits   = 64 - offsetBits
	// maxOffset limits the size of a file: 64 GiB.
	maxOffset = 1<<offsetBits - 1
)

// index finds the last records of keys: a hash table with linear probing, whose slots have 28 bits
// of the hash of a key and the offset of a record. Different keys may have the same hash, so the
// caller compares the key of the record. It takes eight bytes a slot, 32 MiB for a million orders,
// their numbers and lanes.
type index struct {
	seed  maphash.Seed
	slots []uint64 // 0 is free
	used  int
	bits  int // of len(slots)
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<10), bits: 10}
}

// hash returns the hash of a key.
func (x *index) hash(kind byte, id []byte) uint64 {
	return (maphash.Bytes(x.seed, id) ^ uint64(kind)*0x9E3779B97F4A7C15) >> offsetBits
}

func (x *index) home(hash uint64) int { return int(hash >> (hashBits - x.bits)) } //nolint:gosec // few bits

func (x *index) after(slot int) int { return (slot + 1) & (len(x.slots) - 1) }

// next returns the first slot at or behind a slot that is free or has the hash.
func (x *index) next(hash uint64, slot int) int {
	for x.slots[slot] != 0 && x.slots[slot]>>offsetBits != hash {
		slot = x.after(slot)
	}
	return slot
}

func (x *index) offset(slot int) int64 { return int64(x.slots[slot] & maxOffset) }

// find returns the slot of a record with a hash, which is free if there is none.
func (x *index) find(hash uint64, offset int64) int {
	slot := x.next(hash, x.home(hash))
	for x.slots[slot] != 0 && x.offset(slot) != offset {
		slot = x.next(hash, x.after(slot))
	}
	return slot
}

// has reports whether a record is the last of its key.
func (x *index) has(hash uint64, offset int64) bool { return x.slots[x.find(hash, offset)] != 0 }

// replace replaces the offset of a record by that of the next one of its key; 0 is none. It reports
// whether the old record was there.
func (x *index) replace(hash uint64, old, next int64) bool {
	slot := x.find(hash, old)
	switch {
	case old == 0 && next == 0:
		return true
	case old != 0 && x.slots[slot] == 0:
		return false
	case next == 0:
		x.free(slot)
		return true
	}
	x.slots[slot] = hash<<offsetBits | uint64(next) //nolint:gosec // it is not negative
	if old == 0 {
		if x.used++; x.used > len(x.slots)/5*4 && x.bits < hashBits {
			x.grow()
		}
	}
	return true
}

// free removes a slot and moves those behind it that would not be found any more.
func (x *index) free(slot int) {
	x.used--
	mask := len(x.slots) - 1
	for next := x.after(slot); x.slots[next] != 0; next = x.after(next) {
		home := x.home(x.slots[next] >> offsetBits)
		if (next-home)&mask >= (next-slot)&mask {
			x.slots[slot] = x.slots[next]
			slot = next
		}
	}
	x.slots[slot] = 0
}

func (x *index) grow() {
	old := x.slots
	x.bits++
	x.slots = make([]uint64, 2*len(old))
	for _, s := range old {
		if s == 0 {
			continue
		}
		slot := x.home(s >> offsetBits)
		for x.slots[slot] != 0 {
			slot = x.after(slot)
		}
		x.slots[slot] = s
	}
}
