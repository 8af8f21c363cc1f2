package console

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// How much is kept in memory.
const (
	maxPlans   = 4
	maxFilters = 32 // of each plan
)

// plans opens plans once for all requests, and keeps the last few open.
type plans struct {
	opening singleflight.Group

	mu   sync.Mutex
	open []*shared // the one that was used last is the last one
}

// shared is a plan that requests share. It is closed when it is not kept any more and no request uses it.
type shared struct {
	*opened
	path string
	file os.FileInfo // when it was opened
	find singleflight.Group

	mu      sync.Mutex
	users   int
	retired bool
	found   map[selection]bitmap
	order   []selection // of found, the oldest first
}

// use returns the plan at a path, and a function to call when it is not used any more. digest, if not "", must be that
// of the plan. A file that was replaced since is opened again.
func (p *plans) use(path, digest string) (*shared, func(), error) {
	for {
		file, err := os.Stat(path)
		if err != nil {
			return nil, nil, err
		}
		if s := p.kept(path, file); s != nil {
			return s, s.leave, nil
		}
		_, err, _ = p.opening.Do(path, func() (any, error) {
			o, err := open(path)
			if err == nil && digest != "" && o.Digest() != digest {
				err = cmp.Or(o.Close(), fmt.Errorf("the plan was replaced: its digest is %s, and was %s", text.Short(o.Digest()),
					text.Short(digest)))
			}
			if err == nil {
				p.keep(&shared{opened: o, path: path, file: file, found: make(map[selection]bitmap)})
			}
			return nil, err
		})
		if err != nil {
			return nil, nil, err
		}
	}
}

// kept returns a plan that is open, and counts the user.
func (p *plans) kept(path string, file os.FileInfo) *shared {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.open, func(s *shared) bool {
		return s.path == path && os.SameFile(s.file, file) && s.file.ModTime().Equal(file.ModTime())
	})
	if i < 0 {
		return nil
	}
	s := p.open[i]
	p.open = append(slices.Delete(p.open, i, i+1), s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
	return s
}

// keep adds a plan, and retires those that were not used for the longest time.
func (p *plans) keep(s *shared) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, s)
	size := 0
	for _, s := range p.open {
		size += s.details.size
	}
	for len(p.open) > maxPlans || size > maxDetails && len(p.open) > 1 {
		size -= p.open[0].details.size
		p.open[0].retire()
		p.open = slices.Delete(p.open, 0, 1)
	}
}

// close retires all plans.
func (p *plans) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.open {
		s.retire()
	}
	p.open = nil
}

func (s *shared) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	if s.users == 0 {
		_ = s.Close() // only read
	}
}

func (s *shared) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && s.retired {
		_ = s.Close() // only read
	}
}

// search returns the orders of a selection. A plan does not change, so the last results are kept.
func (s *shared) search(sel selection) (bitmap, error) {
	s.mu.Lock()
	found, ok := s.found[sel]
	s.mu.Unlock()
	if ok {
		return found, nil
	}
	result, err, _ := s.find.Do(fmt.Sprintf("%q", sel), func() (any, error) {
		found, err := s.opened.find(sel)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.found[sel] == nil {
			s.order = append(s.order, sel)
		}
		s.found[sel] = found
		if len(s.order) > maxFilters {
			delete(s.found, s.order[0])
			s.order = slices.Delete(s.order, 0, 1)
		}
		return found, nil
	})
	if err != nil {
		return nil, err
	}
	return result.(bitmap), nil //nolint:errcheck // see above
}
