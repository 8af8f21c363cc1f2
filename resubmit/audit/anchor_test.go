package audit_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

func TestLinesAreSyncedWithoutALaterLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		log := open(t, path)
		for range 3 {
			require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		kept, err := os.ReadFile(path + ".head")
		require.NoError(t, err)
		require.Contains(t, string(kept), `{"lines":4,`)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		cut := content[:strings.LastIndex(strings.TrimSuffix(string(content), "\n"), "\n")+1]
		require.NoError(t, os.WriteFile(path, cut, 0o600))
		_, err = audit.VerifyFile(path)
		require.ErrorContains(t, err, "lines were cut off at the end")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.NoError(t, log.Close())
	})
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		var heads []audit.Head
		var log *audit.Log
		log = open(t, path, audit.WithSyncInterval(time.Hour), audit.WithAnchor(func(h audit.Head) error {
			if !h.Closed {
				require.NoError(t, log.Add(audit.Line{Event: audit.EventProbe}), "the log is not locked")
			}
			_, err := audit.VerifyFile(path, h)
			require.NoError(t, err)
			kept, err := os.ReadFile(path + ".head")
			require.NoError(t, err)
			require.Contains(t, string(kept), h.Hash, "the lines are synced")
			heads = append(heads, h)
			return nil
		}))
		wait := func(d time.Duration) []audit.Head {
			time.Sleep(d)
			synctest.Wait()
			return heads
		}
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
		require.Empty(t, wait(59*time.Second))
		require.Len(t, wait(time.Second), 1, "every minute")
		require.Equal(t, 2, heads[0].Lines)
		require.NoError(t, log.Close())
		require.Len(t, heads, 2, "at the end")
		require.Len(t, wait(time.Hour), 2)
	})
}

func TestAnchorGetsEachHeadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		var lines []int
		log := open(t, path, audit.WithAnchor(func(h audit.Head) error {
			lines = append(lines, h.Lines)
			return nil
		}))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, []int{1}, lines, "while nothing is written")
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []int{1, 2}, lines)
		record := log.Wrap(resubmit.Config{}).Audit
		require.NoError(t, record(resubmit.RunFinished{Report: new(resubmit.Report)}))
		require.Equal(t, []int{1, 2, 3}, lines, "at the end of a run")
		require.NoError(t, log.Close())
		require.NoError(t, log.Close())
		require.Equal(t, []int{1, 2, 3, 4}, lines)
		head, err := audit.VerifyFile(path)
		require.NoError(t, err)
		require.Equal(t, 4, head.Lines)
	})
}

func TestAnchorErrorStopsTheLog(t *testing.T) {
	t.Parallel()
	for name, anchor := range map[string]func(audit.Head) error{
		"error": func(audit.Head) error { return errors.New("the notary is closed") },
		"panic": func(audit.Head) error { panic("the notary is closed") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := open(t, filepath.Join(t.TempDir(), "audit"), audit.WithAnchor(anchor))
				time.Sleep(time.Minute)
				synctest.Wait()
				err := log.Add(audit.Line{Event: audit.EventRead})
				require.ErrorContains(t, err, "anchor the head of line 1: ")
				require.ErrorContains(t, err, "the notary is closed")
				require.NotContains(t, err.Error(), "\n")
				require.Equal(t, err, log.Close())
			})
		})
	}
	t.Run("when the log is closed", func(t *testing.T) {
		t.Parallel()
		log := open(t, filepath.Join(t.TempDir(), "audit"),
			audit.WithAnchor(func(audit.Head) error { return errors.New("the notary is closed") }))
		for range 2 {
			require.ErrorContains(t, log.Close(), "anchor the head of line 2: the notary is closed")
		}
	})
	_, err := audit.Open(filepath.Join(t.TempDir(), "audit"), ana, audit.WithAnchor(nil))
	require.ErrorContains(t, err, "WithAnchor")
}

// keys returns a key pair.
func keys(t *testing.T) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return public, private
}

func TestHeadsAreSigned(t *testing.T) {
	t.Parallel()
	public, key := keys(t)
	other, otherKey := keys(t)
	path := filepath.Join(t.TempDir(), "audit")
	var anchored audit.Head
	log := open(t, path, audit.WithKey(key), audit.WithAnchor(func(h audit.Head) error {
		anchored = h
		return nil
	}))
	require.NoError(t, log.Head().CheckSignature(other, public))
	require.ErrorContains(t, log.Head().CheckSignature(other), "invalid")
	require.ErrorContains(t, log.Head().CheckSignature(), "invalid")
	require.ErrorContains(t, log.Head().CheckSignature(public[:3]), "invalid")
	require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
	require.NoError(t, log.Close())
	head, err := audit.VerifySigned([]ed25519.PublicKey{public}, path)
	require.NoError(t, err)
	require.Equal(t, log.Head(), head)
	require.Equal(t, anchored, head)
	for _, change := range []func(*audit.Head){
		func(h *audit.Head) { h.Lines++ },
		func(h *audit.Head) { h.Hash = strings.Repeat("0", len(h.Hash)) },
		func(h *audit.Head) { h.Signature = "A" + h.Signature[1:] },
		func(h *audit.Head) { h.Signature = "?" },
	} {
		edited := head
		change(&edited)
		require.ErrorContains(t, edited.CheckSignature(public), "invalid")
	}
	_, err = audit.VerifySigned([]ed25519.PublicKey{other}, path)
	require.ErrorContains(t, err, path+".head: the signature of the head is invalid")

	require.NoError(t, open(t, path, audit.WithKey(key)).Close(), "it is continued with its key")
	_, err = audit.VerifySigned([]ed25519.PublicKey{public}, path)
	require.NoError(t, err)
	for name, opts := range map[string][]audit.Option{
		"its head is signed": nil, "the signature of the head is invalid": {audit.WithKey(otherKey)}, "WithKey": {audit.WithKey(nil)},
	} {
		_, err := audit.Open(path, ana, opts...)
		require.ErrorContains(t, err, name)
	}
}

func TestReplacedLogIsNoticedByItsSignature(t *testing.T) {
	t.Parallel()
	public, key := keys(t)
	path := written(t, 2) // without a key, as somebody else would
	_, err := audit.VerifySigned([]ed25519.PublicKey{public}, path)
	require.ErrorContains(t, err, "the head is missing or not signed")
	_, err = audit.Open(path, ana, audit.WithKey(key))
	require.ErrorContains(t, err, "the head is missing or not signed")
	require.NoError(t, os.WriteFile(path+".head", nil, 0o600))
	_, err = audit.Open(path, ana, audit.WithKey(key))
	require.ErrorContains(t, err, "empty or torn")
	require.NoError(t, os.Remove(path+".head"))
	_, err = audit.Open(path, ana, audit.WithKey(key))
	require.ErrorContains(t, err, "the head is missing or not signed")
}

// TestCrashBeforeTheHeadIsSigned checks that lines beyond the signed head are reported, and recorded by the next Open.
func TestCrashBeforeTheHeadIsSigned(t *testing.T) {
	t.Parallel()
	public, key := keys(t)
	path := filepath.Join(t.TempDir(), "audit")
	crash := func(log *audit.Log) {
		for _, suffix := range []string{"", ".head"} {
			content, err := os.ReadFile(path + suffix)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".after"+suffix, content, 0o600))
		}
		require.NoError(t, log.Close())
	}
	log := open(t, path, audit.WithKey(key), audit.WithSyncInterval(time.Hour))
	for range 2 {
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
	}
	crash(log)
	after := path + ".after"
	_, err := audit.VerifySigned([]ed25519.PublicKey{public}, after)
	require.ErrorContains(t, err, "lines 2 to 3 are not covered by the signed head")
	require.NoError(t, open(t, after, audit.WithKey(key)).Close())
	lines := linesOf(t, after)
	require.Contains(t, lines[4].Why, "lines 2 to 3 were not covered by the signed head")
	_, err = audit.VerifySigned([]ed25519.PublicKey{public}, after)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(after, []byte(firstLine(t, path)), 0o600))
	require.NoError(t, os.Remove(after+".head"))
	require.NoError(t, open(t, after, audit.WithKey(key)).Close(), "a crash before the first head was written")
	_, err = audit.VerifySigned([]ed25519.PublicKey{public}, after)
	require.NoError(t, err)
}

func firstLine(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content[:strings.IndexByte(string(content), '\n')+1])
}
