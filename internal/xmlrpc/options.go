package xmlrpc

import (
	"cmp"
	"time"
)

// DecodeOptions limits what a document may cost. The zero value takes the
// defaults named; a limit below zero is none at all, for bodies that one trusts.
// With the defaults no body costs more than 16 MiB of memory.
type DecodeOptions struct {
	MaxBytes  int64 // of the document; 32 MiB
	MaxDepth  int   // of values in values; 64
	MaxValues int   // in the document, in all; 500 000
	MaxText   int   // bytes of one text as it is sent; 1 MiB
	// MaxMemory bounds the Go values that a document becomes, in about bytes; 8 MiB,
	// which is enough for some 7 000 order rows as any.
	MaxMemory int64
	// Location is where times without a zone are, and all times are given in; nil is UTC.
	Location *time.Location
	// ContentType of the HTTP message. It may declare an encoding for a document that declares none.
	ContentType string
}

func (o DecodeOptions) withDefaults() DecodeOptions {
	o.MaxBytes = limit(o.MaxBytes, 32<<20)
	o.MaxDepth = limit(o.MaxDepth, 64)
	o.MaxValues = limit(o.MaxValues, 500_000)
	o.MaxText = limit(o.MaxText, 1<<20)
	o.MaxMemory = limit(o.MaxMemory, 8<<20)
	o.Location = cmp.Or(o.Location, time.UTC)
	return o
}

func limit[T int | int64](given, standard T) T {
	if given < 0 {
		return 1<<(8*4-2) - 1 // a billion of anything; sums with it do not overflow
	}
	return cmp.Or(given, standard)
}

// Wide names the element for integers that do not fit i4.
type Wide string

// The elements for wide integers. The specification has none; a server may know one.
const (
	NoWide Wide = ""       // such integers are refused: Billing (commerce/WIRE.md#1.3)
	I8     Wide = "i8"     // up to 64 bits
	BigInt Wide = "bigint" // any size: Operations (commerce/WIRE.md#4)
)

// EncodeOptions says what the other side understands beyond the specification.
type EncodeOptions struct {
	Wide Wide
	// Nil allows <nil/>. Without it, nil values are refused.
	Nil bool
	// Location is the zone in which times are written, as the wire has no zones; nil is UTC.
	Location *time.Location
}
