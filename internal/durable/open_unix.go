//go:build unix

package durable

import "syscall"

// noFollow makes open fail if the path became a symbolic link after Lstat.
const noFollow = syscall.O_NOFOLLOW
