//go:build ignore

// Mutants applies the edits of .ci/mutants.txt to a copy of the repository, one at a time, and reports which of them no
// test notices.
//
//	go run .ci/mutants.go [-run REGEXP]
//	go run .ci/mutants.go -check
//
// With -check it only checks that each edit can be made.
//
// The file has blocks, separated by empty lines:
//
//	claim after the push
//	file resubmit/order.go
//	- the lines that are replaced, which occur once
//	+ the lines instead
//	test ./resubmit -run TestApply
//
// A "test" line is the arguments of a run of go test; the defaults follow. "equivalent REASON" says that no test can
// notice the edit.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tests are the runs of go test that must notice a mutant, the fastest first.
var tests = []string{
	"./resubmit/protocol ./resubmit/plan -short",
	"./resubmit/journal ./resubmit/internal/journaltest -short",
	"./resubmit/internal/explore -short",
	"./resubmit ./resubmit/watch ./resubmit/state",
	"./resubmit/internal/sim -run ^TestSimulation$ -seeds 500",
}

type mutant struct {
	name, file, old, new, test, equivalent string
}

func main() {
	run := flag.String("run", "", "only the mutants whose name matches")
	onlyCheck := flag.Bool("check", false, "only check that each edit can be made")
	flag.Parse()
	if err := mutate(*run, *onlyCheck); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func mutate(run string, onlyCheck bool) error {
	only, err := regexp.Compile(run)
	if err != nil {
		return err
	}
	mutants, err := read(".ci/mutants.txt")
	if err == nil {
		err = check(mutants)
	}
	if err != nil || onlyCheck {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("git", "clone", "-q", ".", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("clone: %w: %s", err, out)
	}
	all := slices.Clone(tests)
	for _, m := range mutants {
		if m.test != "" && !slices.Contains(all, m.test) && only.MatchString(m.name) {
			all = append(all, m.test)
		}
	}
	for _, test := range all {
		if failed, err := failure(dir, test); failed != "" || err != nil {
			return fmt.Errorf("without a mutant: %s: %w", failed, cmp.Or(err, errors.New("it fails")))
		}
	}
	killed, equivalent, alive := 0, 0, []string{}
	for _, m := range mutants {
		switch {
		case !only.MatchString(m.name):
		case m.equivalent != "":
			equivalent++
			fmt.Printf("equivalent  %s: %s\n", m.name, m.equivalent)
		default:
			by, err := try(dir, m)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if by == "" {
				alive = append(alive, m.name)
				fmt.Println("ALIVE      ", m.name)
				continue
			}
			killed++
			fmt.Printf("killed      %s, by %s\n", m.name, by)
		}
	}
	fmt.Printf("%d killed, %d equivalent, %d alive\n", killed, equivalent, len(alive))
	if len(alive) > 0 {
		return fmt.Errorf("no test notices: %s", strings.Join(alive, "; "))
	}
	return nil
}

// check checks that the old lines of each mutant occur once.
func check(mutants []mutant) error {
	var bad []error
	for _, m := range mutants {
		source, err := os.ReadFile(m.file)
		if n := bytes.Count(source, []byte(m.old)); err == nil && n != 1 {
			err = fmt.Errorf("the old lines occur %d times in %s", n, m.file)
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return errors.Join(bad...)
}

// try applies a mutant and returns which test noticed it, and how fast.
func try(dir string, m mutant) (by string, err error) {
	path := filepath.Join(dir, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	edited := bytes.Replace(source, []byte(m.old), []byte(m.new), 1)
	if err := os.WriteFile(path, edited, 0o600); err != nil {
		return "", err
	}
	defer os.WriteFile(path, source, 0o600)
	if out, err := goTool(dir, "vet", "./"+filepath.Dir(m.file)); err != nil {
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	began := time.Now()
	for _, test := range append([]string{m.test}, tests...) {
		if test == "" {
			continue
		}
		failed, err := failure(dir, test)
		if failed != "" || err != nil {
			return fmt.Sprintf("%s after %v", failed, time.Since(began).Round(time.Second)), err
		}
	}
	return "", nil
}

// failure returns which test of a run of go test fails; "" if none does.
func failure(dir, test string) (string, error) {
	out, err := goTool(dir, append([]string{"test", "-count=1", "-timeout=4m"}, strings.Fields(test)...)...)
	if err == nil {
		return "", nil
	}
	if m := failedTest.FindStringSubmatch(out); m != nil {
		return m[1], nil
	}
	if m := failedPackage.FindStringSubmatch(out); m != nil && !strings.Contains(out, "[build failed]") {
		return "the end of " + m[1], nil
	}
	return "", fmt.Errorf("go test %s: %w: %s", test, err, out)
}

var failedPackage = regexp.MustCompile(`(?m)^FAIL[ \t]+(\S+)`) // without a failed test: it panicked, or was killed

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

func goTool(dir string, args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return string(out), err
}

// read reads the mutants.
func read(path string) ([]mutant, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		lines := strings.Split(block, "\n")
		m := mutant{name: lines[0]}
		var old, replaced []string
		for _, line := range lines[1:] {
			kind, rest, _ := strings.Cut(line, " ")
			switch kind {
			case "file":
				m.file = rest
			case "test":
				m.test = rest
			case "equivalent":
				m.equivalent = rest
			case "-":
				old = append(old, rest)
			case "+":
				replaced = append(replaced, rest)
			default:
				return nil, fmt.Errorf("%s: %q: unknown line %q", path, m.name, line)
			}
		}
		m.old, m.new = strings.Join(old, "\n")+"\n", strings.Join(replaced, "\n")+"\n"
		if replaced == nil {
			m.new = ""
		}
		if m.file == "" || old == nil {
			return nil, errors.New(path + ": " + m.name + ": has no file or no old lines")
		}
		all = append(all, m)
	}
	return all, nil
}
