package fields

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// RowPrefix is the prefix of ids for rows of a list that have none. Such ids are never sent.
const RowPrefix = "unreadable-row:"

// RowIDs creates ids for the rows of one page that have none. The zero value is ready to use.
type RowIDs struct{ seen map[string]int }

// Next returns the id of the next row: a hash of its content, and a count for identical rows, so
// that the id is the same when the page is read again.
func (r *RowIDs) Next(raw []byte) string {
	if r.seen == nil {
		r.seen = make(map[string]int)
	}
	sum := sha256.Sum256(raw)
	id := RowPrefix + hex.EncodeToString(sum[:8])
	r.seen[id]++
	return fmt.Sprintf("%s-%d", id, r.seen[id])
}
