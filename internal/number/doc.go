// Package number parses numbers from untrusted input: servers, files and users. It rejects
// numbers of more than [Most] characters before parsing them, because parsing can take time and
// memory that grow faster than the input.
//
//	total, err := number.Decimal("12.50")
//
// All functions are pure.
package number
