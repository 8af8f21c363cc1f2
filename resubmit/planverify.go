package resubmit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A plan is verified on all cores: its blocks are cut into sections of whole lines,
// which several goroutines check, while the one that asked hashes the sections and
// puts what was found in them together, in the order of the file.

// section is a run of whole lines of a plan, and what was found in it.
type section struct {
	raw []byte
	err error // of reading, behind it

	counts  Counts // of the entries before trailer or problem
	first   *Entry // that tells when it was placed, and its place among the entries
	at      int
	last    time.Time // of placing of the last one that tells it
	trailer int       // offset of the last line of the plan; -1
	problem error     // with the line behind the entries
	checked chan struct{}
}

// verify reads the plan once from start to end.
func (p *Plan) verify() error {
	sections := &sectionReader{r: &blockReader{plan: p, record: true}}
	head, err := sections.next(nil)
	if len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return p.errorf(1, "the file is empty; make the plan anew")
		}
		return p.errorf(1, "%w", readError(err))
	}
	end := bytes.IndexByte(head, '\n') + 1
	if err := p.readHeader(head[:end-1]); err != nil {
		return p.errorf(1, "%w", err)
	}
	return p.verifyEntries(sections, head[:end], head[end:])
}

// verifyEntries checks all behind the header. rest is what was read of that.
func (p *Plan) verifyEntries(sections *sectionReader, header, rest []byte) error {
	workers := runtime.GOMAXPROCS(0)
	var (
		work    = make(chan *section)
		inOrder = make(chan *section, 2*workers)
		over    = make(chan struct{})
		all     sync.WaitGroup
	)
	all.Go(func() {
		defer close(inOrder)
		defer close(work)
		for raw, err := rest, error(nil); ; raw, err = sections.next(nil) {
			s := &section{raw: raw, err: err, trailer: -1, checked: make(chan struct{})}
			for _, next := range []chan *section{inOrder, work} {
				select {
				case next <- s:
				case <-over:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for range workers {
		all.Go(func() {
			var dec entryReader
			for s := range work {
				s.check(&dec)
				close(s.checked)
			}
		})
	}
	v := &verifier{plan: p, line: 1, offset: int64(len(header)), digest: sha256.New()}
	_, _ = v.digest.Write(header) // a hash never fails
	err := v.join(inOrder)
	close(over)
	all.Wait()
	return err
}

// check looks at the lines of a section up to the last line of the plan or to the
// first problem.
func (s *section) check(dec *entryReader) {
	var e Entry
	for rest := string(s.raw); rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.HasPrefix(line, trailerStart) {
			s.trailer = len(s.raw) - len(rest)
			return
		}
		if len(line) >= maxLine {
			s.problem = fmt.Errorf("%w; make the plan anew", errLongLine)
			return
		}
		if s.problem = dec.look(line, &e); s.problem == nil {
			s.problem = checkEntry(&e, s.last)
		}
		if s.problem != nil {
			s.problem = fmt.Errorf("%w; the file was edited or damaged: make the plan anew", s.problem)
			return
		}
		if !e.Before.PlacedAt.IsZero() {
			if s.first == nil {
				s.first, s.at = &Entry{OrderID: e.OrderID, Before: State{PlacedAt: e.Before.PlacedAt}}, s.counts.Total
			}
			s.last = e.Before.PlacedAt
		}
		s.counts.add(e.Decision.Action)
		rest = after
	}
}

// verifier puts the sections of a plan together.
type verifier struct {
	plan   *Plan
	line   int   // the last that is known to be good
	offset int64 // behind it
	after  time.Time
	digest hashWriter
}

type hashWriter interface {
	io.Writer
	Sum(b []byte) []byte
}

// join goes through the sections in their order, up to the end or the first problem.
func (v *verifier) join(sections <-chan *section) error {
	for s := range sections {
		<-s.checked
		if done, err := v.add(s); done || err != nil {
			return err
		}
		if s.err != nil {
			return v.plan.errorf(v.line+1, "%w", readError(s.err))
		}
	}
	return v.plan.errorf(v.line+1, "%w", errCutOff)
}

// add adds a section, and reports whether the plan ends in it.
func (v *verifier) add(s *section) (done bool, err error) {
	p := v.plan
	if s.first != nil {
		if err := checkAge(s.first, v.after); err != nil {
			return false, p.errorf(v.line+s.at+1, "%w; the file was edited or damaged: make the plan anew", err)
		}
		v.after = s.last
	}
	v.line += s.counts.Total
	p.counts.sum(s.counts)
	switch {
	case s.problem != nil:
		return false, p.errorf(v.line+1, "%w", s.problem)
	case s.trailer < 0:
		_, _ = v.digest.Write(s.raw)
		v.offset += int64(len(s.raw))
		return false, nil
	}
	_, _ = v.digest.Write(s.raw[:s.trailer])
	p.last = v.offset + int64(s.trailer)
	line, _, _ := bytes.Cut(s.raw[s.trailer:], []byte{'\n'})
	if err := p.readTrailer(line, v.digest); err != nil {
		return false, p.errorf(v.line+1, "%w", err)
	}
	if p.last+int64(len(line))+1 != p.size {
		return false, p.errorf(v.line+2, "something follows the last line: it looks like two plans in one file; make the plan anew")
	}
	return true, nil
}

var errLongLine = fmt.Errorf("the line is longer than the %d bytes that a line may have", maxLine)

// readError is what to say of an error behind which nothing was read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return fmt.Errorf("%w; make the plan anew", err)
}

// sectionReader cuts what it reads into runs of whole lines.
type sectionReader struct {
	r    *blockReader
	rest []byte // a line that has begun
}

// next returns the lines up to the last line end of the next block that has one, in
// the memory of old if that is enough. io.ErrUnexpectedEOF means that the end of the
// last line is missing.
func (s *sectionReader) next(old []byte) ([]byte, error) {
	for {
		block, err := s.r.block()
		switch {
		case errors.Is(err, io.EOF) && len(s.rest) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		end := bytes.LastIndexByte(block, '\n') + 1
		if end == 0 {
			if s.rest = append(s.rest, block...); len(s.rest) > maxLine {
				return nil, errLongLine
			}
			continue
		}
		raw := append(append(slices.Grow(old[:0], len(s.rest)+end), s.rest...), block[:end]...)
		s.rest = append(s.rest[:0], block[end:]...)
		return raw, nil
	}
}
