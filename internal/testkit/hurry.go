package testkit

import (
	"flag"
	"os"
	"runtime/debug"
)

// Hurry makes the tests of a package faster. Sixteen may wait at the same time unless -parallel is given, garbage is
// collected less often, and temporary files are kept in memory where the system has a file system for that, unless
// TMPDIR says where they belong. It is for TestMain, before the tests run, and not for tests that measure memory or
// need a disk. Benchmarks run as if it were not called.
func Hurry() {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		return
	}
	debug.SetGCPercent(400)
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		_ = flag.Set("test.parallel", "16") // every test program has this flag
	}
	if os.Getenv("TMPDIR") != "" {
		return
	}
	const memory = "/dev/shm"
	if dir, err := os.MkdirTemp(memory, "test"); err == nil { // it exists and can be written
		_ = os.Remove(dir)
		_ = os.Setenv("TMPDIR", memory)
	}
}
