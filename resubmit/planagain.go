package resubmit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
)

// OpenPlanAgain is [OpenPlan] for a plan that was verified before, which is known by
// its digest: a journal tells the one that it was begun with. If the file says that it
// has that digest, to hash it is enough, which takes a third of the time. That goes on
// behind. Until it is over, Header, Counts and Digest are what the file says;
// whatever reads entries waits, as do Sign, Signature, SignedBy and Verified. A run
// reads its journal meanwhile. Should the file turn out to be another, all of them fail
// with the error of OpenPlan, and nobody is called or told of the plan. With another
// digest, or with "", the file is verified at once.
func OpenPlanAgain(path, digest string) (*Plan, error) { return openPlan(path, digest) }

// Verified waits until the whole plan was read once, and returns nil if the file is
// what its digest says. That is known of every plan but one of [OpenPlanAgain].
func (p *Plan) Verified() error { return p.verified(context.Background()) }

// verified is Verified, unless ctx ends before.
func (p *Plan) verified(ctx context.Context) error {
	if p.hashing == nil {
		return nil
	}
	select {
	case <-p.hashing.over:
		return p.hashing.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hashing is the reading of a plan that is known by its digest.
type hashing struct {
	over chan struct{}
	err  error // is known when it is over
}

// maxTrailer is the most bytes that the last line of a plan can have.
const maxTrailer = 16 << 10

// recognize reports whether the plan says that it is the one with a digest, and begins
// to hold it against that. If it does not say so, the plan is of no use.
func (p *Plan) recognize(digest string) bool {
	tail := make([]byte, min(p.size, maxTrailer))
	if n, _ := p.r.ReadAt(tail, p.size-int64(len(tail))); n < len(tail) {
		return false
	}
	line, whole := bytes.CutSuffix(tail, []byte(digestStart+digest+"\"}\n"))
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	said, err := parseTrailer(line)
	if !whole || !bytes.HasPrefix(line, []byte(trailerStart)) || err != nil {
		return false
	}
	p.counts, p.named = said.Counts, said.Mismatched
	ends := p.size - int64(len(digest)+len("\"}\n"))
	p.last, p.digest = ends-int64(len(digestStart)+len(line)), digest
	head, err := (&sectionReader{r: &blockReader{plan: p, record: true}}).next(nil)
	header, _, _ := bytes.Cut(head, []byte{'\n'})
	if err != nil || p.readHeader(header) != nil {
		return false
	}
	h := &hashing{over: make(chan struct{})}
	p.hashing = h
	go func() {
		defer close(h.over)
		sum, err := p.hash(ends)
		if err != nil || sum != digest || !p.holds(header, 0) || !p.holds(tail, p.size-int64(len(tail))) {
			h.err = p.whyNot()
		}
	}()
	return true
}

// holds reports whether the plan that was hashed has a text at an offset.
func (p *Plan) holds(text []byte, at int64) bool {
	b := &blockReader{plan: p, next: int(at / planBlock)}
	for at %= planBlock; len(text) > 0; at = 0 {
		block, err := b.block()
		if err != nil {
			return false
		}
		n := min(len(text), len(block[at:]))
		if !bytes.Equal(block[at:][:n], text[:n]) {
			return false
		}
		text = text[n:]
	}
	return true
}

// whyNot is the error of a plan that has not the digest that it says.
func (p *Plan) whyNot() error {
	other := newPlan(p.r, p.size, p.name)
	if err := other.verify(); err != nil {
		return err
	}
	return p.errorf(1, "%w", errEdited) // it is as it was by now
}

// hash reads the plan once and returns the digest over its first bytes.
func (p *Plan) hash(size int64) (sum string, err error) {
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
	for block := range blocks {
		_, _ = digest.Write(block[:min(size, int64(len(block)))]) // a hash never fails
		size -= min(size, int64(len(block)))
		free <- block[:cap(block)]
	}
	reader.Wait()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return digestOf(digest), err
}
