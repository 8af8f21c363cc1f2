package durable

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLock(t *testing.T) {
	t.Parallel()
	t.Run("excludes others and names its holder", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		_, locked := LockHolder(path)
		require.False(t, locked)
		require.NoFileExists(t, path)
		l, err := AcquireLock(path, "tester", 0)
		require.NoError(t, err)
		holder, locked := LockHolder(path)
		require.True(t, locked)
		require.Equal(t, os.Getpid(), holder.PID)

		_, err = AcquireLock(path, "", 0)
		var held *LockedError
		require.ErrorAs(t, err, &held)
		require.Equal(t, path, held.Path)
		require.Equal(t, "tester", held.Holder.Program)
		require.NotEmpty(t, held.Holder.User)
		require.NotEmpty(t, held.Holder.Host)
		require.WithinDuration(t, time.Now(), held.Holder.Since, time.Minute)
		require.ErrorContains(t, err, "is held by tester, process ")

		require.NoError(t, l.Release())
		_, locked = LockHolder(path)
		require.False(t, locked)
		l, err = AcquireLock(path, "", 0)
		require.NoError(t, err)
		require.NoError(t, l.Release())
	})
	t.Run("waits for a holder that ends", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		l, err := AcquireLock(path, "", 0)
		require.NoError(t, err)
		next := make(chan error)
		go func() {
			l, err := AcquireLock(path, "", time.Minute)
			if err == nil {
				err = l.Release()
			}
			next <- err
		}()
		require.NoError(t, l.Release())
		require.NoError(t, <-next)
	})
	t.Run("follows no link", func(t *testing.T) {
		t.Parallel()
		victim, path := filepath.Join(t.TempDir(), "victim"), filepath.Join(t.TempDir(), "lock")
		require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
		require.NoError(t, os.Symlink(victim, path))
		_, err := AcquireLock(path, "", 0)
		require.ErrorContains(t, err, "this is a symbolic link")
		requireFile(t, victim, "precious")
	})
	t.Run("names no holder if the description is invalid", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		l, err := AcquireLock(path, "", 0)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
		_, err = AcquireLock(path, "", 0)
		require.ErrorContains(t, err, "is held by another process")
		require.NoError(t, l.Release())
	})
}

func TestCheckLocal(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckLocal(t.TempDir()))
}
