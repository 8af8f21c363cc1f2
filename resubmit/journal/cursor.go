package journal

// cursor is a position between two entries of a tree. What it returns is valid until it
// moves.
type cursor struct {
	tree
	path     []place // from the root down to the leaf, and unused places
	depth    int     // of the leaves; -1 if unknown yet
	snapshot uint64  // of the tree, see Journal
	// strict checks each page completely: the order of its keys, and its records.
	strict bool
}

// place is a page and a position in it: the current entry of a branch, or the next entry of
// a leaf.
type place struct {
	page
	index     int
	from, end []byte // the range of its keys; a nil end is open
}

// maxDepth is deeper than any tree with pages of a kilobyte.
const maxDepth = 32

func newCursor(t tree) *cursor { return &cursor{tree: t, depth: -1} }

// seek moves before the first entry whose key is not smaller.
func (c *cursor) seek(key []byte) error {
	id := c.first
	for level := 0; ; level++ {
		if err := c.load(level, id); err != nil {
			return err
		}
		at := &c.path[level]
		i, found := at.search(key)
		if at.leaf {
			at.index = i
			return nil
		}
		if !found && i > 0 {
			i-- // the entry whose subtree may have the key
		}
		at.index, id = i, at.child(i)
	}
}

// next returns the next entry and moves after it. A nil key is the end.
func (c *cursor) next() (key, value []byte, err error) {
	leaf := &c.path[c.depth]
	if leaf.index == leaf.count {
		if more, err := c.turn(1); !more || err != nil {
			return nil, nil, err
		}
	}
	leaf.index++
	return leaf.key(leaf.index - 1), leaf.value(leaf.index - 1), nil
}

// prev returns the previous entry and moves before it. A nil key is the start.
func (c *cursor) prev() (key, value []byte, err error) {
	leaf := &c.path[c.depth]
	if leaf.index == 0 {
		if more, err := c.turn(-1); !more || err != nil {
			return nil, nil, err
		}
	}
	leaf.index--
	return leaf.key(leaf.index), leaf.value(leaf.index), nil
}

// turn moves to the start of the next leaf (1) or to the end of the previous one (-1).
func (c *cursor) turn(by int) (more bool, err error) {
	level := c.depth - 1
	for level >= 0 && (c.path[level].index+by < 0 || c.path[level].index+by == c.path[level].count) {
		level--
	}
	if level < 0 {
		return false, nil
	}
	for c.path[level].index += by; level < c.depth; level++ {
		id, below := c.path[level].child(c.path[level].index), &c.path[level+1]
		if id == below.id {
			return false, errBadPages // two entries for one page
		}
		if err := c.load(level+1, id); err != nil {
			return false, err
		}
		switch {
		case by > 0:
			below.index = 0
		case below.leaf:
			below.index = below.count
		default:
			below.index = below.count - 1
		}
	}
	return true, nil
}

// load loads the page at a level, below the current entry of the level above.
func (c *cursor) load(level int, id uint64) error {
	if level == maxDepth {
		return errBadPages
	}
	if level == len(c.path) {
		c.path = append(c.path, place{})
	}
	at := &c.path[level]
	if at.count > 0 && at.id == id {
		return nil
	}
	old := at.body
	*at = place{page: c.inline}
	if id != 0 {
		read, err := c.read(id, entryRecord, old)
		if err != nil {
			return err
		}
		at.page = read
	}
	if at.leaf && c.depth < 0 {
		c.depth = level
	}
	if at.count == 0 || at.leaf != (level == c.depth) {
		at.count = 0
		return errBadPages
	}
	if !c.strict {
		return nil
	}
	return c.inspect(level)
}

// inspect checks the page at a level completely.
func (c *cursor) inspect(level int) error {
	at := &c.path[level]
	if level > 0 {
		above := &c.path[level-1]
		at.from, at.end = above.key(above.index), above.end
		if above.index+1 < above.count {
			at.end = above.key(above.index + 1)
		}
	}
	if err := at.checkOrder(at.from, at.end); err != nil {
		return err
	}
	for i := range at.count {
		if !at.leaf {
			continue
		}
		if _, err := unseal(at.key(i), at.value(i)); err != nil {
			return err
		}
	}
	return nil
}
