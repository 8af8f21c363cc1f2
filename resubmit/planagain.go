package resubmit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// OpenPlanAgain is [OpenPlan] for a plan that was verified before, which is known by
// its digest: a journal tells the one that it was begun with. If the file still has
// that digest, it is what was verified then, and to hash it is enough, which takes a
// third of the time. With another digest, or with "", the file is verified as OpenPlan
// does, so that a plan which is returned is a good one in any case.
func OpenPlanAgain(path, digest string) (*Plan, error) { return openPlan(path, digest) }

// maxTrailer is the most bytes that the last line of a plan can have.
const maxTrailer = 1 << 10

// recognize reads the plan once and reports whether it is the one with a digest. If it
// is not, the plan is of no use.
func (p *Plan) recognize(digest string) bool {
	tail := make([]byte, min(p.size, maxTrailer))
	if n, _ := p.r.ReadAt(tail, p.size-int64(len(tail))); n < len(tail) {
		return false
	}
	line, whole := bytes.CutSuffix(tail, []byte(digestStart+digest+"\"}\n"))
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	counts, found := bytes.CutPrefix(line, []byte(trailerStart))
	if !whole || !found || json.Unmarshal(counts, &p.counts) != nil {
		return false
	}
	ends := p.size - int64(len(digest)+len("\"}\n"))
	p.last = ends - int64(len(digestStart)+len(line))
	header, sum, err := p.hash(ends)
	p.digest = digest
	return err == nil && sum == digest && p.readHeader(header) == nil
}

// hash reads the plan once and returns its header and the digest over its first bytes.
func (p *Plan) hash(size int64) (header []byte, sum string, err error) {
	const ahead = 4
	blocks, free := make(chan []byte, ahead), make(chan []byte, ahead)
	for range ahead {
		free <- make([]byte, min(planBlock, p.size))
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(blocks)
		for b := (&blockReader{plan: p, record: true}); ; {
			b.buf = <-free
			block, failed := b.block()
			if failed != nil {
				err = failed
				return
			}
			blocks <- block
		}
	})
	digest := sha256.New()
	begun := false
	for block := range blocks {
		_, _ = digest.Write(block[:min(size, int64(len(block)))]) // a hash never fails
		size -= min(size, int64(len(block)))
		if !begun && len(header) <= maxLine {
			var line []byte
			line, _, begun = bytes.Cut(block, []byte{'\n'})
			header = append(header, line...)
		}
		free <- block[:cap(block)]
	}
	reader.Wait()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return header, digestOf(digest), err
}
