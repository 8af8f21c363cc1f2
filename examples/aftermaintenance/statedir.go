package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// stateDir are the flags of a state directory, and the command for it.
type stateDir struct {
	path      string // "" without a state directory
	wait      time.Duration
	maxOrders int
	why       string
	command   []string // with its operands; nil for none
}

func (d *stateDir) flags(flags *flag.FlagSet) {
	flags.StringVar(&d.path, "state", "",
		"`directory` with everything about this Commerce: journal, plans, audit logs and reports. With it, -apply is the "+
			"nightly job: it continues the unfinished run, or else plans and applies within the limits; it can be repeated at "+
			"any time. Without -apply it is a dry run")
	flags.DurationVar(&d.wait, "wait", 0,
		"with -state and -apply: wait up to this `time` for orders that must still wait, and then plan again")
	flags.IntVar(&d.maxOrders, "max-orders", 0,
		"with -state and -apply: `number` of orders that a plan may resubmit without approval (default 500; -1 any number)")
	flags.StringVar(&d.why, "why", "", "with a command: the `reason`, for the record")
}

// commands describes the commands in -help.
const commands = `
Commands, which need -state only:
  approve DIGEST   approve the plan with this digest, which is beyond the limits;
                   the next -apply applies it
  pause, resume    send nothing more until resume, also after a restart
  drain            send nothing more, verify what was sent, and end the run
  cancel           send nothing more and end the run
  status           show the newest run, and who works on it
  recover          continue after a loss of the journal: orders placed before are
                   held until they are named with -order. It needs -why, and also
                   -via and -commerce if the journal is missing
`

// check returns an error if flags contradict -state, or need it.
func (d *stateDir) check(s *settings, given map[string]bool) error {
	if d.path == "" {
		for _, name := range []string{"wait", "max-orders", "why"} {
			if given[name] {
				return fmt.Errorf("-%s needs -state", name)
			}
		}
		if d.command != nil {
			return fmt.Errorf("unexpected argument %q: commands need -state", d.command[0])
		}
		return nil
	}
	if names := givenOf(given, "plan", "unreviewed", "journal", "audit"); names != "" {
		return fmt.Errorf("-state keeps the plan, the journal and the audit log in its directory: leave out %s", names)
	}
	switch {
	case d.command != nil:
		return nil
	case s.sandbox:
		return errors.New("-state is for real systems: give -commerce too")
	case d.why != "":
		return errors.New("-why needs a command, such as pause")
	case d.wait < 0:
		return fmt.Errorf("-wait %v: give a time such as 2h", d.wait)
	case d.maxOrders < -1:
		return fmt.Errorf("-max-orders %d: give a number of orders, or -1 for any number", d.maxOrders)
	case !s.apply && (given["wait"] || given["max-orders"]):
		return errors.New("-wait and -max-orders need -apply")
	}
	return nil
}

// checkCommand returns an error if a command is unknown, or is given what it does not need.
func (s *settings) checkCommand(given map[string]bool) error {
	name, operands := s.state.command[0], len(s.state.command)-1
	want := 0
	switch name {
	case "approve":
		want = 1
	case "pause", "resume", "drain", "cancel", "status":
	case "recover":
		if s.state.why == "" {
			return errors.New("recover needs -why: how the journal was lost")
		}
	default:
		return fmt.Errorf("unknown command %q: give approve, pause, resume, drain, cancel, status or recover", name)
	}
	if operands != want {
		return fmt.Errorf("%s takes %s, but %d are given", name, number(want, "argument"), operands)
	}
	if names := givenOf(given, "apply", "order", "ids", "where", "from", "to", "wait", "max-orders"); names != "" {
		return fmt.Errorf("the command %s uses no other flags of a run: leave out %s", name, names)
	}
	if s.sandbox {
		return nil
	}
	return s.api.check()
}

// givenOf returns those of the flags that were given, for people.
func givenOf(given map[string]bool, names ...string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return !given[name] })
	if len(names) == 0 {
		return ""
	}
	return "-" + strings.Join(names, ", -")
}
