package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Store keeps plans, with their signatures, where several machines find them. It is safe for concurrent use, also by
// several processes. resubmittest.TestPlanStore checks one.
type Store interface {
	// Open opens the plan with a digest, and with its signature if one was stored. The error matches [fs.ErrNotExist] if
	// there is no such plan. A plan that is incomplete, damaged or another one is an error, and so is a signature that is
	// damaged or belongs to another plan. Close the plan.
	Open(ctx context.Context, digest string) (*Plan, error)
	// Put stores a plan and its signature. The plan can be opened once all of it is durable, and after an error Put can be
	// repeated. Storing a plan again replaces its signature, but one without a signature leaves that as it is. A plan
	// with an invalid signature is not stored.
	Put(ctx context.Context, p *Plan) error
}

// CheckDigest returns an error if a text is not the digest of a plan.
func CheckDigest(digest string) error {
	if !digestForm.MatchString(digest) {
		return fmt.Errorf("plan: %q is not the digest of a plan", text.Short(digest))
	}
	return nil
}

// Content returns the content of the plan, to copy it. Reading fails if the file has changed since it was opened.
func (p *Plan) Content() *io.SectionReader { return io.NewSectionReader(unchanged{p}, 0, p.size) }

// unchanged reads the file of a plan, and compares it with the checksums.
type unchanged struct{ plan *Plan }

// ReadAt implements [io.ReaderAt].
func (u unchanged) ReadAt(b []byte, offset int64) (int, error) {
	start := offset / sumSize * sumSize
	end := min(u.plan.size, (offset+int64(len(b))+sumSize-1)/sumSize*sumSize)
	blocks := make([]byte, max(0, end-start))
	if err := u.plan.readBlock(blocks, start, false); err != nil {
		return 0, fmt.Errorf("%s: %w", u.plan.prefix(), err)
	}
	n := copy(b, blocks[min(int64(len(blocks)), offset-start):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// SignatureLine returns the content of the signature file of the plan, nil if it has none. The error matches
// [ErrBadSignature], or is that of reading the file.
func (p *Plan) SignatureLine() ([]byte, error) {
	s, err := p.Signature()
	switch {
	case errors.Is(err, ErrUnsigned):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.Line(), nil
}

// Download copies the plan with a digest from r and opens it, with the checks of [Open]. If r has another plan, that is
// an error. signature is the content of its signature file, empty if it has none. The copy is a temporary file, which
// only this user can read; it is removed when the plan is closed, at the latest.
func Download(r io.Reader, digest string, signature []byte) (*Plan, error) {
	if err := CheckDigest(digest); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "plan-*.jsonl")
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	remove := func() error { return nil }
	if os.Remove(f.Name()) != nil { // Windows does not remove an open file
		remove = func() error { return os.Remove(f.Name()) }
	}
	p, err := copied(f, r, digest, signature)
	if err != nil {
		return nil, errors.Join(err, f.Close(), remove())
	}
	p.close = func() error { return errors.Join(f.Close(), remove()) }
	return p, nil
}

func copied(f *os.File, r io.Reader, digest string, signature []byte) (*Plan, error) {
	size, err := io.Copy(f, r)
	if err != nil {
		return nil, fmt.Errorf("plan: copy the plan %s: %w", digest, err)
	}
	p, err := Read(f, size)
	if err != nil {
		return nil, fmt.Errorf("plan: the copy of the plan %s: %w", digest, err)
	}
	if p.digest != digest {
		return nil, fmt.Errorf("plan: this is the plan %s, not %s", p.digest, digest)
	}
	if len(signature) == 0 {
		return p, nil
	}
	s, err := ReadSignature(bytes.NewReader(signature))
	if err == nil {
		err = s.check(digest)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: the signature of the plan %s: %w", digest, err)
	}
	return p.WithSignature(s), nil
}
