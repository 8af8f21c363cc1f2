package testkit

import (
	"hash/fnv"
	"math/rand/v2"
)

// Random returns a source of random numbers that depends on the seed and the name only,
// so that what is drawn for one purpose does not change another.
func Random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never returns an error
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
