// Package journal is a [resubmit.Journal] in a file: what was done to each order, by all plans and runs of one
// installation of Commerce.
//
//	j, err := journal.Open("maintenance.journal")
//	if err != nil {
//		return err // locked by another process, corrupt, or not a journal
//	}
//	defer j.Close()
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: j})
//	report, err := runner.Apply(ctx, plan)
//
// One process writes a journal at a time; a second one gets a [*LockedError] that names the first. Readers need no
// lock, see [WithReadOnly]. Errors are one line with the path and what to do.
//
// # Format
//
// Numbers are little-endian; a uvarint is one of encoding/binary. A file is a header and frames, which are only
// appended. The header is a line of JSON and its hash:
//
//	{"kind":"cloudblue-resubmit-journal","version":2,"id":"…","createdAt":"…","system":"…","sequence":0}
//
// A frame is what was written and synced at once:
//
//	size      uint32  of the records, in bytes
//	sequence  uint64  of the last Put in the frame
//	records
//	hash      [16]byte
//
// A hash is the beginning of the SHA-256 of its line, or of the hash before the frame and the frame, so that it covers
// all that precedes it. Sequence and hash of the last frame are the position of the journal. A frame is written when
// the one before it is on disk. Therefore a frame that is incomplete or has the wrong hash is a write that a crash cut
// off if no valid frame follows, and corruption otherwise. Zeros may follow the last frame, which are written ahead
// and cut off by Close. A record is
//
//	checksum  uint32   CRC-32C of what follows
//	size      uvarint  of what follows, in bytes
//	kind      byte     1 order, 2 lane, 3 run, 4 system, 5 begin, 6 mark; plus 128: the key was removed
//	version   uvarint  sequence of its Put
//	back      uvarint  how many bytes before it the record begins that it replaces; 0: none
//	id        uvarint size, and as many bytes
//	fields
//
// The fields are a uint32 mask with a bit for each field that is not zero, the first the lowest, and those fields: a
// text is a uvarint size and as many bytes; a number a uvarint; a time a zigzag uvarint of seconds since 1970 and a
// uvarint of nanoseconds; a list of texts a uvarint count and the texts; true has only its bit. Their order is that of
// package protocol, with the time of the record first, but after the number of an order. The end of a lease is not
// stored. A begin record starts a lease, whose epoch is its version; its id is the plan, and it has no fields. A mark
// records that the position of its version was returned, by Begin if its id is "begin"; its fields are the hash. A plan
// or an anchor that names a position without a mark is rejected.
//
// If most records were replaced, the file is written anew, under a temporary name, with the marks and the last record
// of each key, and renamed. Its header has the position before that. Its frames up to this sequence have records of
// many versions.
package journal
