package testkit

import "testing"

// Scale returns how much work a test does: full, or short with -short.
func Scale(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}
