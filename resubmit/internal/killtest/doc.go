// Package killtest is a test that kills a program with SIGKILL and repeats its command until the program ends by
// itself: no order may be pushed twice for one failure or out of turn, and none may be lost (resubmit/SAFETY.md#i19).
//
// The program is package state with the real clients, as a process of its own. The test systems run in the process of
// the test. By default a short test with short delays runs. With -kills the engine has its default settings, so that
// an order whose push got no answer takes ten minutes:
//
//	go test ./resubmit/internal/killtest -v -timeout 30m -processes 20 -kills 1
package killtest
