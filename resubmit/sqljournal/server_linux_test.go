package sqljournal_test

import "syscall"

// endWithTests has a process end when the tests do, also when they are killed.
func endWithTests(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
