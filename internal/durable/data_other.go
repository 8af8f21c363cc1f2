//go:build !linux

package durable

import "os"

// SyncData syncs the data of a file.
func SyncData(f *os.File) error { return f.Sync() }

// CheckLocal returns an error if a directory is known to be on another machine, which is known on
// Linux only.
func CheckLocal(string) error { return nil }
