package temporal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

func TestDir(t *testing.T) {
	t.Parallel()
	dir := Dir(t.TempDir())
	resubmittest.TestPlanStore(t, resubmittest.PlanStoreFixture{
		New: func(*testing.T) plan.Store { return dir },
		Change: func(t *testing.T, digest string, signature bool, change func([]byte) []byte) {
			path := filepath.Join(string(dir), nameOf(digest))
			if signature {
				path += signatureSuffix
			}
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Remove(path))
			if content = change(content); content != nil {
				require.NoError(t, os.WriteFile(path, content, 0o600))
			}
		},
	})
	files, err := filepath.Glob(filepath.Join(string(dir), "*"))
	require.NoError(t, err)
	for _, file := range files {
		require.Regexp(t, `/[0-9a-f]{64}\.jsonl(\.sig)?$`, file, "nothing unfinished is left")
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

// bucket is an object store in memory.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	fail    error // of Get, after the first object
	gets    int
}

func (b *bucket) Get(_ context.Context, name string) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gets++; b.gets > 1 && b.fail != nil {
		return nil, b.fail
	}
	content, ok := b.objects[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (b *bucket) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	all, err := io.ReadAll(content)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if int64(len(all)) != size {
		return errors.New("the size is another one")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = all
	return nil
}

func TestBlobStore(t *testing.T) {
	t.Parallel()
	b := &bucket{objects: make(map[string][]byte)}
	resubmittest.TestPlanStore(t, resubmittest.PlanStoreFixture{
		New: func(*testing.T) plan.Store { return BlobStore{Blobs: b, Prefix: "plans/"} },
		Change: func(_ *testing.T, digest string, signature bool, change func([]byte) []byte) {
			name := "plans/" + nameOf(digest)
			if signature {
				name += signatureSuffix
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			content := change(b.objects[name])
			if delete(b.objects, name); content != nil {
				b.objects[name] = content
			}
		},
	})
}

// TestBlobStoreWithoutTheSignature checks that a plan is not opened as an unsigned one if its signature cannot be read.
func TestBlobStoreWithoutTheSignature(t *testing.T) {
	t.Parallel()
	_, digest := newActivities(t, newShop(), nil)
	b := &bucket{objects: map[string][]byte{nameOf(digest): nil}, fail: errors.New("the connection was lost")}
	_, err := BlobStore{Blobs: b}.Open(t.Context(), digest)
	require.ErrorIs(t, err, b.fail)
}
