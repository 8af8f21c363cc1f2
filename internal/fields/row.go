package fields

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// RowPrefix begins the ids that stand for rows of a list that have none. No request
// names such an id.
const RowPrefix = "unreadable-row:"

// RowIDs makes ids for the rows of one page that have none. The zero value is ready.
type RowIDs struct{ seen map[string]int }

// Next is the id of the next row: a hash of what was sent, and a count where the page
// has the same row more than once. So it is the same when the page is read again.
func (r *RowIDs) Next(raw []byte) string {
	if r.seen == nil {
		r.seen = make(map[string]int)
	}
	sum := sha256.Sum256(raw)
	id := RowPrefix + hex.EncodeToString(sum[:8])
	r.seen[id]++
	return fmt.Sprintf("%s-%d", id, r.seen[id])
}
