//go:build unix

package durable

import "syscall"

// noFollow makes an open fail if a link was put at the path after it was looked at.
const noFollow = syscall.O_NOFOLLOW
