package temporal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

var (
	_ plan.Store = Dir("")
	_ plan.Store = BlobStore{}
)

// nameOf returns the name of a plan's file or object.
func nameOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") + ".jsonl" }

const signatureSuffix = ".sig"

// Dir is a [plan.Store] in a directory that all workers see, with one file for each plan and one for its signature.
// Remove files when they are not needed any more.
type Dir string

// Open implements [plan.Store].
func (d Dir) Open(_ context.Context, digest string) (*plan.Plan, error) {
	if err := plan.CheckDigest(digest); err != nil {
		return nil, err
	}
	p, err := plan.Open(filepath.Join(string(d), nameOf(digest)))
	if err != nil {
		return nil, err
	}
	_, err = p.SignatureLine()
	if err == nil && p.Digest() != digest {
		err = fmt.Errorf("the directory %s has the plan %s instead of %s", string(d), p.Digest(), digest)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Put implements [plan.Store].
func (d Dir) Put(_ context.Context, p *plan.Plan) error {
	signature, err := p.SignatureLine()
	if err != nil {
		return err
	}
	path := filepath.Join(string(d), nameOf(p.Digest()))
	if len(signature) > 0 { // before the plan: it cannot be opened without
		if err := durable.Replace(path+signatureSuffix, signature, 0o600); err != nil {
			return err
		}
	}
	f, err := durable.Create(path, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, p.Content()); err != nil {
		f.Abort()
		return err
	}
	return f.Commit()
}

// Blobs are objects in an object store. For a bucket of S3 and the client of github.com/aws/aws-sdk-go-v2/service/s3:
//
//	func (b bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
//		object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &name})
//		if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
//			return nil, fs.ErrNotExist
//		}
//		if err != nil {
//			return nil, err
//		}
//		return object.Body, nil
//	}
//
//	func (b bucket) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
//		_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
//			Bucket: &b.name, Key: &name, Body: content, ContentLength: &size,
//		})
//		return err
//	}
type Blobs interface {
	// Get returns the content of an object. The error matches [fs.ErrNotExist] if there is none. The caller closes it.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// Put writes an object of size bytes, or replaces it: as a whole, so that Get never returns a part. It is durable
	// when Put returns.
	Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error
}

// BlobStore is a store of plans in an object store, with one object for each plan and one for its signature. Plans are
// streamed, and open ones are temporary files. Have the object store remove old objects.
type BlobStore struct {
	Blobs Blobs
	// Prefix begins the names of the objects.
	Prefix string
}

// Open implements [plan.Store].
func (b BlobStore) Open(ctx context.Context, digest string) (*plan.Plan, error) {
	if err := plan.CheckDigest(digest); err != nil {
		return nil, err
	}
	name := b.Prefix + nameOf(digest)
	content, err := b.Blobs.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("get the plan %s: %w", name, err)
	}
	defer func() { _ = content.Close() }() // it was only read
	signature, err := b.signature(ctx, name+signatureSuffix)
	if err != nil {
		return nil, fmt.Errorf("get the signature %s: %w", name+signatureSuffix, err)
	}
	return plan.Download(content, digest, signature)
}

// signature returns the content of a signature; nil if there is none.
func (b BlobStore) signature(ctx context.Context, name string) ([]byte, error) {
	content, err := b.Blobs.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }() // it was only read
	s, err := plan.ReadSignature(content)
	if err != nil {
		return nil, err
	}
	return s.Line(), nil
}

// Put implements [plan.Store].
func (b BlobStore) Put(ctx context.Context, p *plan.Plan) error {
	signature, err := p.SignatureLine()
	if err != nil {
		return err
	}
	name := b.Prefix + nameOf(p.Digest())
	if len(signature) > 0 { // before the plan: it cannot be opened without
		err = b.Blobs.Put(ctx, name+signatureSuffix, strings.NewReader(string(signature)), int64(len(signature)))
	}
	if content := p.Content(); err == nil {
		err = b.Blobs.Put(ctx, name, content, content.Size())
	}
	if err != nil {
		return fmt.Errorf("put the plan %s: %w", name, err)
	}
	return nil
}
