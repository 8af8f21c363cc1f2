package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"
)

var update = flag.Bool("update", false, "write the golden files")

// allCommands returns the words of every command.
func allCommands() (all [][]string) {
	var walk func(words []string, list []*cli.Command)
	walk = func(words []string, list []*cli.Command) {
		for _, c := range list {
			path := append(words[:len(words):len(words)], c.Name)
			all = append(all, path)
			walk(path, c.Commands)
		}
	}
	walk(nil, commands(new(program)))
	return all
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, words := range append([][]string{nil}, allCommands()...) {
		args := append(words[:len(words):len(words)], "-help")
		stdout, stderr := done(t, nil, args...)
		require.Empty(t, stderr)
		for line := range strings.Lines(stdout) {
			require.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), helpWidth, line)
		}
		all.WriteString("$ aftermaintenance " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	path := filepath.Join("testdata", "help.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(all.String()), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String(), "to accept it, run the test with -update")
	for _, variable := range []string{"CONNECT_API_KEY", "COMMERCE_TOKEN", "COMMERCE_CONSUMER_SECRET", "COMMERCE_USER",
		"COMMERCE_PASSWORD", "COMMERCE_KEY", "COMMERCE_CLIENT_SECRET", "NOTIFY_SECRET"} {
		require.Contains(t, all.String(), variable)
	}
}

func TestEveryCommandIsInREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(readme), "## On your systems\n")
	section, _, _ = strings.Cut(section, "### Configuration")
	for _, words := range allCommands() {
		if len(words) == 1 && words[0] != "audit" && words[0] != "journal" {
			require.Regexp(t, "\\b"+words[0]+"\\b", section)
		}
	}
}

func TestFlagsWithEmptyValuesAreRejected(t *testing.T) {
	t.Parallel()
	checked := 0
	value := regexp.MustCompile(`(?m)^  -(\S+) \S`)
	for _, words := range append([][]string{nil}, allCommands()...) {
		stdout, _ := done(t, nil, append(words[:len(words):len(words)], "-help")...)
		for _, m := range value.FindAllStringSubmatch(stdout, -1) {
			checked++
			for _, empty := range []string{"", " "} {
				args := append(words[:len(words):len(words)], "-"+m[1], empty)
				status, stdout, stderr := do(t, nil, args...)
				require.Equal(t, exitUsage, status, "%v: %s", args, stderr)
				require.Empty(t, stdout)
			}
		}
	}
	require.Greater(t, checked, 40)
	requireRejected(t, nil, []string{"plan", "-where", ""}, exitUsage, "-where is empty: give a value or leave out "+
		"the flag")
	requireRejected(t, nil, []string{"-state", "", "plan"}, exitUsage, "-state is empty")
	requireRejected(t, nil, []string{"plan", "-order", ","}, exitUsage, "-order is empty")
	requireRejected(t, nil, []string{"run", "-max-money", " , "}, exitUsage, "-max-money is empty")
	for _, arg := range []string{"-yes=", "--yes=", " -yes="} {
		requireRejected(t, nil, []string{"-state", t.TempDir(), "apply", arg}, exitUsage, "-yes is empty: give a value")
	}
}

func TestEmptyArgumentsAreRejected(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, words := range allCommands() {
		for _, empty := range []string{"", " ", "\t"} {
			args := append([]string{"-state", t.TempDir()}, append(words[:len(words):len(words)], empty)...)
			status, stdout, stderr := do(t, nil, args...)
			require.Equal(t, exitUsage, status, "%q: %s", args, stderr)
			require.Empty(t, stdout)
			if strings.Contains(stderr, "is empty: is a variable of your shell not set?") {
				checked++
			}
		}
	}
	require.GreaterOrEqual(t, checked, 3*7, "those that take an argument")
}

func TestFlagsWithUnknownCodesCauseWarnings(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	for where, want := range map[string]string{
		"status=failed": `aftermaintenance: warning: -where: status "failed" is not a known code: did you mean PF`,
		"type=XX":       `aftermaintenance: warning: -where: type "XX" is not a known code`,
		"status=CP":     "-where: eq(status,CP) selects nothing, since the view",
		"type=SO":       "",
	} {
		_, stderr := done(t, env, with(flags, "plan", "-where", where)...)
		require.Contains(t, stderr, want)
		require.Equal(t, want != "", strings.Contains(stderr, "aftermaintenance: warning: "), stderr)
	}
	configure(t, stateOf(flags), `{"policy": {"targets": ["PD", "PROVISION"]}, "run": {"rate": 10000}}`)
	_, stderr := done(t, env, with(flags, "plan")...)
	require.Contains(t, stderr, `aftermaintenance: warning: policy.targets: status "PROVISION" is not a known code`)
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "pwsh"} {
		stdout, _ := done(t, nil, "completion", shell)
		require.Contains(t, stdout, "generate-shell-completion", shell)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-state", "x", "--generate-shell-completion")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stdout, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(stdout), "apply:")
}
