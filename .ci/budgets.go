//go:build ignore

// Budgets runs the benchmarks of .ci/budgets.txt and compares what they measure with the limits there.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const logFile = ".ci/budgets.log"

// command is a run of go test with the budgets that it measures.
type command struct {
	args    []string
	budgets []budget
}

type budget struct {
	name, metric, baseline string
	atLeast                bool
	limit                  float64
	tolerance              float64 // 0.1 if the limit depends on the machine
}

// metrics are all results of each metric, by the name of the benchmark and the unit.
type metrics map[string][]float64

func main() {
	portable := flag.Bool("portable", false, "without the budgets that depend on the machine")
	run := flag.String("run", "", "only the budgets whose name matches")
	check := flag.String("check", "", "only check that this file has each metric")
	flag.Parse()
	if err := compare(*portable, *run, *check); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func compare(portable bool, run, check string) error {
	only, err := regexp.Compile(run)
	if err != nil {
		return err
	}
	commands, err := read(".ci/budgets.txt")
	if err != nil {
		return err
	}
	if check != "" {
		return checkMetrics(commands, check)
	}
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Printf("%-44s %10s   %-15s\n", "budget", "measured", "limit")
	count, exceeded := 0, 0
	for _, c := range commands {
		c.budgets = slices.DeleteFunc(c.budgets, func(b budget) bool {
			return portable && b.tolerance > 0 || !only.MatchString(b.name)
		})
		if len(c.budgets) == 0 {
			continue
		}
		m, err := c.measure(log)
		if err != nil {
			return err
		}
		for _, b := range c.budgets {
			verdict, err := b.judge(m)
			if err != nil {
				return err
			}
			if count++; verdict == "EXCEEDED" {
				exceeded++
			}
		}
	}
	fmt.Printf("%d budgets, %d exceeded\n", count, exceeded)
	if exceeded > 0 {
		return errors.New("see " + logFile)
	}
	return nil
}

// measure runs the command.
func (c *command) measure(log io.Writer) (metrics, error) {
	run := exec.Command(c.args[0], c.args[1:]...)
	var out bytes.Buffer
	run.Stdout = io.MultiWriter(&out, log)
	run.Stderr = run.Stdout
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w; see %s", strings.Join(c.args, " "), err, logFile)
	}
	return parse(&out)
}

// judge prints and returns the verdict.
func (b *budget) judge(m metrics) (string, error) {
	value, err := m.value(b.metric)
	if b.baseline != "" && err == nil {
		var base float64
		base, err = m.value(b.baseline)
		value /= base
	}
	if err != nil {
		return "", err
	}
	sign, over := "<=", (value-b.limit)/b.limit
	if b.limit == 0 {
		over = value
	}
	if b.atLeast {
		sign, over = ">=", -over
	}
	verdict := "ok"
	switch {
	case over > b.tolerance:
		verdict = "EXCEEDED"
	case over > 0:
		verdict = "ok, less than 10 % over"
	}
	shown := strconv.FormatFloat(value, 'g', 4, 64)
	if value >= 1000 {
		shown = strconv.FormatFloat(value, 'f', 0, 64)
	}
	fmt.Printf("%-44s %10s   %s %-12g %s\n", b.name, shown, sign, b.limit, verdict)
	return verdict, nil
}

// value returns the median of a metric.
func (m metrics) value(name string) (float64, error) {
	all := slices.Sorted(slices.Values(m[name]))
	if len(all) == 0 {
		return 0, fmt.Errorf("no benchmark reports %q", name)
	}
	return all[len(all)/2], nil
}

var processors = regexp.MustCompile(`-\d+$`)

// parse reads the lines of benchmarks and the attributes of tests.
func parse(r io.Reader) (metrics, error) {
	m := make(metrics)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 5 && f[0] == "===" && f[1] == "ATTR":
			f = []string{f[2], "1", f[4], f[3]}
		case len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark"):
			continue
		}
		for i := 2; i+1 < len(f); i += 2 {
			value, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
			name := processors.ReplaceAllString(f[0], "") + " " + f[i+1]
			m[name] = append(m[name], value)
		}
	}
	return m, lines.Err()
}

// checkMetrics checks that a file has the metrics of all benchmarks.
func checkMetrics(commands []command, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := parse(f)
	if err != nil {
		return err
	}
	var missing []error
	for _, c := range commands {
		for _, b := range c.budgets {
			for _, name := range []string{b.metric, b.baseline} {
				if _, err := m.value(name); strings.HasPrefix(name, "Benchmark") && err != nil {
					missing = append(missing, err)
				}
			}
		}
	}
	return errors.Join(missing...)
}

// read reads the commands and their budgets.
func read(path string) (commands []command, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "go test "):
			commands = append(commands, command{args: strings.Fields(line)})
		default:
			b, err := readBudget(line)
			if err != nil || commands == nil {
				return nil, fmt.Errorf("%s: %q: it is no budget of a command: %w", path, line, err)
			}
			last := &commands[len(commands)-1]
			last.budgets = append(last.budgets, b)
		}
	}
	return commands, nil
}

var budgetLine = regexp.MustCompile(`^(.+?) *\| (.+?)(?: / (.+?))? *\| (<=|>=) ([0-9.]+)( \+10%)?$`)

func readBudget(line string) (budget, error) {
	f := budgetLine.FindStringSubmatch(line)
	if f == nil {
		return budget{}, errors.New("want: name | metric / baseline | limit")
	}
	b := budget{name: f[1], metric: f[2], baseline: f[3], atLeast: f[4] == ">="}
	if f[6] != "" {
		b.tolerance = 0.1
	}
	var err error
	b.limit, err = strconv.ParseFloat(f[5], 64)
	return b, err
}
