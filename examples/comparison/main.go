// Command comparison resubmits the same orders on the same test systems with scripts as operators write them and with
// this library, and prints what that took as the tables of its README.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// programVariable names the contender that this process is.
const programVariable = "COMPARISON_PROGRAM"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "comparison:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if name := os.Getenv(programVariable); name != "" {
		return contend(ctx, name, stdin)
	}
	flags := flag.NewFlagSet("comparison", flag.ContinueOnError)
	orders := flags.Int("orders", 1000, "`number` of orders without a limit; a fifth of it with a limit and a kill")
	limit := flags.Int("limit", 20, "calls per second that Commerce allows in the second table")
	rounds := flags.Int("rounds", 3, "how often each is measured; the tables have the median by time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *orders < 50 || *limit < 1 || *rounds < 1 {
		return errors.New("give at least 50 -orders, 1 -limit and 1 -rounds")
	}
	return compare(ctx, stdout, scenariosOf(*orders, *limit), *rounds)
}

// contend is one of the contenders in Go.
func contend(ctx context.Context, name string, stdin io.Reader) error {
	program, ok := programs[name]
	if !ok {
		return fmt.Errorf("there is no program %q", name)
	}
	j := new(job)
	if err := json.NewDecoder(stdin).Decode(j); err != nil {
		return err
	}
	return program(ctx, j)
}

// scenariosOf returns the scenarios: without a limit, with one, killed in the middle, and that behind a replica.
func scenariosOf(orders, limit int) []scenario {
	const lose = 20
	return []scenario{
		{name: "Without a limit", orders: orders},
		{name: fmt.Sprintf("Commerce allows %d calls per second", limit), orders: orders / 5, limit: limit},
		{name: "Killed in the middle, one answer in twenty lost", orders: orders / 5, lose: lose, kill: true},
		{
			name:   "The same, and reads lag two seconds behind",
			orders: orders / 5, lose: lose, kill: true, lag: 2 * time.Second,
		},
	}
}

// compare measures all, round by round, so that a busy minute of the machine meets all of them, and prints the tables.
func compare(ctx context.Context, out io.Writer, scenarios []scenario, rounds int) error {
	for i := range scenarios {
		s := &scenarios[i]
		before, results := load(), make([][]result, len(contenders))
		for range rounds {
			for n := range contenders {
				r, err := measure(ctx, &contenders[n], s)
				if err != nil {
					return fmt.Errorf("%s: %s by %s: %w", s.name, contenders[n].name, contenders[n].api, err)
				}
				results[n] = append(results[n], r)
			}
		}
		table(out, s, results)
		fmt.Fprintf(out, "\nLoad of the machine: %s before, %s after; %d processors.\n", before, load(), runtime.NumCPU())
	}
	return nil
}

// load returns how many processes wanted a processor in the last minute, on average; "unknown" where that is not known.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if first, _, ok := strings.Cut(string(text), " "); err == nil && ok {
		return first
	}
	return "unknown"
}

func table(out io.Writer, s *scenario, results [][]result) {
	columns := []string{
		"program", "interface", "threads", "seconds", "orders/s", "calls/order", "429", "MiB", "left", "reported",
	}
	if s.kill {
		columns = append(columns, "moved twice", "pushes too many")
	}
	fmt.Fprintf(out, "\n### %s: %d orders\n\n| %s |\n|%s\n", s.name, s.orders, strings.Join(columns, " | "),
		strings.Repeat("---|", len(columns)))
	for i, c := range contenders {
		slices.SortFunc(results[i], func(a, b result) int { return int(a.took - b.took) })
		r := results[i][len(results[i])/2]
		row := []any{
			c.name, c.api, c.threads, fmt.Sprintf("%.1f", r.took.Seconds()),
			fmt.Sprintf("%.0f", float64(s.orders)/r.took.Seconds()),
			fmt.Sprintf("%.2f", float64(r.commerce+r.connect)/float64(s.orders)), r.refused, r.memory >> 10,
		}
		most := worst(results[i])
		row = append(row, most.lost, most.said)
		if s.kill {
			row = append(row, most.twice, most.extra)
		}
		for _, v := range row {
			fmt.Fprintf(out, "| %v ", v)
		}
		fmt.Fprintln(out, "|")
	}
}

// worst returns the largest losses of all rounds.
func worst(results []result) (w result) {
	for _, r := range results {
		w.said = max(w.said, r.said)
		w.lost, w.twice, w.extra = max(w.lost, r.lost), max(w.twice, r.twice), max(w.extra, r.extra)
	}
	return w
}
