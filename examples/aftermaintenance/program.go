package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// program is one call of the program. Its environment is passed to it.
type program struct {
	terminal.Terminal
	options options

	location *time.Location // of the times that people read
	next     string         // the next command, which is printed at the end
	said     bool           // what ended the program was printed
	left     bool           // something needs a person
	work     bool           // there are orders to resubmit

	notifyClient *http.Client // replaced by tests
	observer     *observer    // of tests; nil
}

// run runs the command that the arguments name, and returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	root := &cli.Command{
		Name: "aftermaintenance", Usage: "resubmit the orders that failed during a maintenance of Connect",
		ArgsUsage: "[command]", Flags: rootFlags(p), Commands: commands(p),
		Writer: p.Stdout, ErrWriter: io.Discard, HideVersion: true, HideHelpCommand: true, EnableShellCompletion: true,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // by finish
		Action:         func(ctx context.Context, cmd *cli.Command) error { return p.demo(ctx, cmd) },
		ConfigureShellCompletionCommand: func(c *cli.Command) {
			c.Hidden, c.Usage = false, "print the completion script of a shell: bash, zsh, fish or pwsh"
		},
	}
	wrongCall := root.Name
	prepare(root, func(cmd *cli.Command) { wrongCall = cmd.FullName() })
	err := checkValues(args)
	if err == nil {
		err = root.Run(ctx, append([]string{root.Name}, args...))
	}
	status := p.finish(ctx, err)
	if status == exitUsage {
		fmt.Fprintf(p.Stderr, "Run %s -help to see what can be given.\n", strings.TrimSpace(wrongCall))
	}
	return status
}

// prepare makes errors in the call of a command, and of those below it, usage errors. called gets the command that was
// called.
func prepare(cmd *cli.Command, called func(*cli.Command)) {
	cmd.DisableSliceFlagSeparator = true // paths may have commas
	cmd.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
		called(cmd)
		return usageError{friendly(cmd, err)}
	}
	if action := cmd.Action; action != nil {
		cmd.Action = func(ctx context.Context, cmd *cli.Command) error {
			called(cmd)
			if err := checkArguments(cmd); err != nil {
				return err
			}
			return action(ctx, cmd)
		}
	} else {
		cmd.Action = func(_ context.Context, cmd *cli.Command) error {
			called(cmd)
			return unknownCommand(cmd)
		}
	}
	for _, sub := range cmd.Commands {
		prepare(sub, called)
	}
}

// friendly returns an error of parsing flags with the nearest name.
func friendly(cmd *cli.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	var names []string
	for _, c := range cmd.Lineage() {
		for _, f := range c.Flags {
			names = append(names, f.Names()...)
		}
	}
	return fmt.Errorf("there is no flag -%s%s", name, strings.ReplaceAll(text.DidYouMean(name, names), `"`, ""))
}

// checkValues rejects flags such as -yes=, which would mean the same as -yes.
func checkValues(args []string) error {
	for _, arg := range args {
		name, empty := strings.CutSuffix(strings.TrimSpace(arg), "=")
		switch {
		case name == "--":
			return nil
		case empty && strings.HasPrefix(name, "-") && !strings.ContainsAny(name, "= "):
			return emptyFlag(strings.TrimLeft(name, "-"))
		}
	}
	return nil
}

func emptyFlag(name string) error {
	return usagef("-%s is empty: give a value or leave out the flag", text.Short(name))
}

// checkArguments rejects arguments that a command does not take, and empty arguments and values of flags: those usually
// come from an unset variable of a shell, and must not mean the same as none.
func checkArguments(cmd *cli.Command) error {
	if len(cmd.Commands) > 0 && cmd.Args().Present() {
		return unknownCommand(cmd)
	}
	least, most := 0, 0
	for word := range strings.FieldsSeq(cmd.ArgsUsage) {
		if most++; !strings.HasPrefix(word, "[") {
			least++
		}
		if strings.Contains(word, "...") {
			most = 1000
		}
	}
	switch n := cmd.Args().Len(); {
	case len(cmd.Commands) > 0: // the root, without a command
	case n > most && most == 0:
		return usagef("%s takes no arguments, but %q is given", cmd.Name, cmd.Args().First())
	case n > most || n < least:
		return usagef("%s takes %s, but %s given", cmd.Name, cmd.ArgsUsage, countOf(n, "argument is", "arguments are"))
	case isBlank(cmd.Args().Slice()):
		return usagef("the argument %s is empty: is a variable of your shell not set?", cmd.ArgsUsage)
	}
	return checkFlags(cmd)
}

// checkFlags rejects flags with empty values, and those of the demo before a command, which would not be for it.
func checkFlags(cmd *cli.Command) error {
	for _, c := range cmd.Lineage() {
		for _, f := range c.Flags {
			local, ok := f.(cli.LocalFlag)
			switch name := f.Names()[0]; {
			case !f.IsSet():
			case isBlank(f.Get()):
				return emptyFlag(name)
			case c != cmd && ok && local.IsLocal():
				return usagef("-%s is for the demo, and has no effect on %s: leave it out", name, cmd.Name)
			}
		}
	}
	return nil
}

// isBlank reports whether a value, or one of several, has nothing but blanks and commas.
func isBlank(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.TrimFunc(v, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) == ""
	case []string:
		return slices.ContainsFunc(v, func(s string) bool { return isBlank(s) })
	default:
		return false
	}
}

// unknownCommand says that there is no such command.
func unknownCommand(cmd *cli.Command) error {
	var names []string
	for _, c := range cmd.Commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if !cmd.Args().Present() {
		return usagef("give a command: %s", strings.Join(names, ", "))
	}
	word := cmd.Args().First()
	return usagef("there is no command %q%s", text.Short(word), text.DidYouMean(word, names))
}

// countOf is a number with its noun.
func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// number is "1 order" or "2 orders".
func number(n int, noun string) string { return countOf(n, noun, noun+"s") }

// page returns the page that results are printed on.
func (p *program) page() page.Page {
	return page.Page{Out: terminal.Plain{To: p.Stdout}, Width: p.Width()}
}

// notes returns the page for everything that is no result.
func (p *program) notes() page.Page {
	if p.options.quiet {
		return page.Page{Out: io.Discard, Width: p.Width()}
	}
	return page.Page{Out: p.Stderr, Width: p.Width()}
}

// out returns where tables go: to standard output, unless that is for a machine.
func (p *program) out() page.Page {
	if p.options.format != formatText {
		return p.notes()
	}
	return p.page()
}

// command returns the start of a command that the user can type.
func (p *program) command(words ...string) string {
	start := []string{"aftermaintenance", "-state", shellWord(p.options.state)}
	if p.options.config != "" {
		start = append(start, "-config", shellWord(p.options.config))
	}
	return strings.Join(append(start, words...), " ")
}

// shellWord quotes a word for a shell, if necessary.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-_./:,=@%+", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// exists reports whether there is a file.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

var errNoState = errors.New("give -state DIR: the directory with everything about your Commerce; " +
	"without -state only the demo runs, which takes no command")

// notesAlways returns the page for what a person must read.
func (p *program) notesAlways() page.Page { return page.Page{Out: p.Stderr, Width: p.Width()} }

// logger returns the logger of the library, to standard error: lines for people on a terminal, and for machines
// otherwise.
func (p *program) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case p.options.verbose:
		level = slog.LevelInfo
	case p.options.quiet:
		level = slog.LevelError
	}
	if p.Stderr.Terminal {
		return slog.New(&terminal.Handler{To: p.notesAlways(), Level: level})
	}
	return slog.New(slog.NewTextHandler(p.Stderr, &slog.HandlerOptions{Level: level}))
}
