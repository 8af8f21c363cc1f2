package resubmit

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// skimmedLine is the line of an entry, and what it tells at a glance of an order that
// has ended.
type skimmedLine struct {
	raw    []byte
	number int // from 1, which is the header
	reader *skimReader

	isEnded bool // the order is to be resubmitted, and has ended
	ended   endedOrder
	group   *lineGroup
	lanes   []uint64 // their hashes
}

// lineGroup is what many lines have in common.
type lineGroup struct {
	key    groupKey
	canary string // the group of the canary, if the user names none
}

// entry reads the entry of the line, which is fresh and the caller's.
func (l *skimmedLine) entry() (*Entry, error) {
	e := new(Entry)
	if err := l.reader.dec.read(string(l.raw), e); err != nil {
		return nil, l.reader.plan.errorf(l.number, "%w; make the plan anew", err)
	}
	return e, nil
}

// skim yields the lines of the entries, in the order of the plan. A line is good until
// the next one. Blocks are looked through on all cores, which is why there is more to
// it than to Entries. An error ends it, as it does there.
func (p *Plan) skim(ended *endedOrders, lanes maphash.Seed) iter.Seq2[*skimmedLine, error] {
	return func(yield func(*skimmedLine, error) bool) {
		if err := p.Verified(); err != nil {
			yield(nil, err)
			return
		}
		sections := &sectionReader{r: &blockReader{plan: p}}
		spare := make(chan []byte, 16) // memory of sections that are done with
		next := func() ([]byte, error) {
			select {
			case old := <-spare:
				return sections.next(old)
			default:
				return sections.next(nil)
			}
		}
		reader := &skimReader{plan: p}
		for s := range inSections(next, func() func([]byte) []skimmedLine { return newSkimmer(ended, lanes).look }) {
			if !reader.yield(s.found, yield) {
				return
			}
			if s.err != nil && !errors.Is(s.err, io.EOF) {
				yield(nil, p.errorf(reader.number+1, "%w; make the plan anew", s.err))
				return
			}
			select {
			case spare <- s.raw:
			default:
			}
		}
	}
}

// skimReader reads the lines of a plan for somebody who has to read only some of them.
type skimReader struct {
	plan   *Plan
	number int // of the last line
	dec    entryReader
}

// yield passes the next lines on, but for the header.
func (r *skimReader) yield(lines []skimmedLine, yield func(*skimmedLine, error) bool) (on bool) {
	for i := range lines {
		l := &lines[i]
		r.number++
		l.number, l.reader = r.number, r
		if r.number > 1 && !yield(l, nil) {
			return false
		}
	}
	return true
}

// skimmer looks for the orders that have ended. Since the lines were verified, by
// structure or by hash, it jumps from one field that it needs to the next: a key stands
// between quotes, which a text has with a backslash only.
type skimmer struct {
	ended  *endedOrders
	groups map[groupKey]*lineGroup
	last   *lineGroup
	hash   maphash.Hash
	rest   []byte // of the line
	odd    bool   // the line has to be read
	most   int    // lines in a section so far
	lanes  []uint64
}

func newSkimmer(ended *endedOrders, lanes maphash.Seed) *skimmer {
	s := &skimmer{ended: ended, groups: make(map[groupKey]*lineGroup), last: &lineGroup{canary: groupName("", "")}}
	s.hash.SetSeed(lanes)
	return s
}

// look cuts a section into its lines, without the last line of the plan.
func (s *skimmer) look(raw []byte) []skimmedLine {
	lines := make([]skimmedLine, 0, s.most)
	s.lanes = make([]uint64, 0, 3*s.most)
	for len(raw) > 0 {
		var l skimmedLine
		l.raw, raw, _ = bytes.Cut(raw, []byte{'\n'})
		if bytes.HasPrefix(l.raw, []byte(trailerStart)) {
			break
		}
		if s.ended.n > 0 {
			s.glance(&l)
		}
		lines = append(lines, l)
	}
	s.most = max(s.most, len(lines))
	// One after the other, so that the processor waits for many of them at once.
	for i := range lines {
		if l := &lines[i]; l.isEnded {
			l.ended, l.isEnded = s.ended.find(l.ended)
		}
	}
	return lines
}

// glance reads what tells whether the order of a line has ended.
func (s *skimmer) glance(l *skimmedLine) {
	s.rest, s.odd = l.raw, false
	id := s.text(`{"id":"`)
	_ = s.text(`,"number":"`)
	kind := s.text(`,"type":"`)
	vendor := s.maybe(`,"vendor":"`)
	channel := s.maybe(`,"channel":"`)
	customer := s.maybe(`,"customer":"`)
	_ = s.maybe(`,"customerId":"`)
	first := len(s.lanes)
	s.lane("order ", id)
	if s.comes(`,"subscriptions":["`) {
		s.lane("subscription ", s.text(`,"subscriptions":["`))
		for s.comes(`,"`) {
			s.lane("subscription ", s.text(`,"`))
		}
		s.jump(`]`)
	}
	if tenant := s.maybe(`,"tenant":"`); len(tenant) > 0 {
		s.lane("tenant ", tenant)
	}
	if len(s.lanes) == first+1 && string(kind) != string(commerce.TypeSales) && len(customer) > 0 {
		s.lane("customer ", vendor, []byte{' '}, customer)
	}
	s.jump(`},"fingerprint":"`)
	fingerprint := s.text("")
	_ = s.text(`,"attribution":{"verdict":"`)
	class := s.text(`,"class":"`)
	s.jump(`},"decision":{"action":"` + string(Resubmit) + `",`)
	if l.isEnded = !s.odd; l.isEnded {
		l.ended = s.ended.named(id, fingerprint)
		l.group, l.lanes = s.group(class, vendor, channel), s.lanes[first:]
	}
}

func (s *skimmer) comes(key string) bool { return bytes.HasPrefix(s.rest, []byte(key)) }

// text reads a key with the quote that opens its text, and the text. One with escapes
// is not what it looks like.
func (s *skimmer) text(key string) []byte {
	if !s.comes(key) {
		s.odd = true
		return nil
	}
	text, rest, found := bytes.Cut(s.rest[len(key):], []byte{'"'})
	s.rest, s.odd = rest, s.odd || !found || bytes.IndexByte(text, '\\') >= 0
	return text
}

// maybe reads a text that need not be there.
func (s *skimmer) maybe(key string) []byte {
	if !s.comes(key) {
		return nil
	}
	return s.text(key)
}

// jump goes on behind a mark.
func (s *skimmer) jump(mark string) {
	_, rest, found := bytes.Cut(s.rest, []byte(mark))
	s.rest, s.odd = rest, s.odd || !found
}

// lane keeps the hash of one of the laneKeys.
func (s *skimmer) lane(kind string, parts ...[]byte) {
	s.hash.Reset()
	_, _ = s.hash.WriteString(kind) // a hash never fails
	for _, part := range parts {
		_, _ = s.hash.Write(part)
	}
	s.lanes = append(s.lanes, s.hash.Sum64())
}

// group is most often that of the line before.
func (s *skimmer) group(class, vendor, channel []byte) *lineGroup {
	last := &s.last.key
	if string(class) == string(last.class) && string(vendor) == last.vendor && string(channel) == string(last.channel) {
		return s.last
	}
	key := groupKey{Class(class), string(vendor), commerce.Channel(channel)}
	if s.groups[key] == nil {
		s.groups[key] = &lineGroup{key, groupName(key.vendor, key.class)}
	}
	s.last = s.groups[key]
	return s.last
}
