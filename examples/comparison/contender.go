package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

//go:embed scripts
var scripts embed.FS

// contender is a program that resubmits orders.
type contender struct {
	name    string
	api     string
	script  string // in Python; "" for one of programs
	program string
	threads int
}

// programs are the contenders in Go, each in a process of its own.
var programs = map[string]func(context.Context, *job) error{
	"net/http": runPlain, "kolo/xmlrpc": runKolo, "ordermanager": runOrderManager, "billing": runBilling,
}

const (
	orderManagement = "Order Management"
	viaBilling      = "Billing"
)

var contenders = []contender{
	{"Python, http.client", orderManagement, "http_client.py", "", 1},
	{"Python, http.client", orderManagement, "http_client.py", "", 8},
	{"Go, net/http", orderManagement, "", "net/http", 8},
	{"this library", orderManagement, "", "ordermanager", 8},
	{"Python, xmlrpc.client", viaBilling, "xmlrpc_client.py", "", 1},
	{"Python, xmlrpc.client", viaBilling, "xmlrpc_client.py", "", 8},
	{"Go, kolo/xmlrpc", viaBilling, "", "kolo/xmlrpc", 8},
	{"this library", viaBilling, "", "billing", 8},
}

// scenario is what the contenders go through.
type scenario struct {
	name   string
	orders int
	limit  int           // calls per second that Commerce allows; 0 for no limit
	lose   int           // every so many answers to pushes are lost; 0 for none
	lag    time.Duration // how long reads, and further pushes, do not see an accepted push
	kill   bool          // the program is killed after half of the pushes, and started again
}

// result is what was measured.
type result struct {
	took               time.Duration
	commerce, connect  int // calls
	refused            int // of them with 429
	memory             int // KiB, the largest of the program
	lost, twice, extra int // orders not completed; orders moved twice; pushes beyond one an order
	said               int // orders not completed, as the program says
}

// measure lets a contender go through a scenario.
func measure(ctx context.Context, c *contender, s *scenario) (r result, err error) {
	w, err := newWorld(ctx, s)
	if err != nil {
		return r, err
	}
	defer w.close()
	dir, err := os.MkdirTemp("", "comparison-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	input, err := json.Marshal(w.job(s, c.threads, filepath.Join(dir, "state")))
	if err != nil {
		return r, err
	}
	began := time.Now()
	if s.kill {
		if err := c.run(ctx, dir, input, &r, func() bool { return len(w.accepted()) >= s.orders/2 }); err != nil {
			return r, err
		}
	}
	if err := c.run(ctx, dir, input, &r, nil); err != nil {
		return r, err
	}
	r.took = time.Since(began)
	r.commerce, r.connect, r.refused = w.toOrders, w.toVendor, w.refused
	<-time.After(time.Second) // orders that were pushed last
	r.lost = w.left()
	for _, n := range w.accepted() {
		if n > 1 {
			r.twice++
		}
	}
	r.extra = len(w.commerce.Pushes()) - s.orders
	return r, nil
}

// run runs the program of a contender to its end, or kills it when it is time.
func (c *contender) run(ctx context.Context, dir string, input []byte, r *result, kill func() bool) error {
	cmd, err := c.command(ctx, dir)
	if err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr, cmd.Stdout = bytes.NewReader(input), &stderr, &stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%s: %w: %s", c.name, err, stderr.String())
			}
			if kill != nil {
				return fmt.Errorf("%s ended before it was killed", c.name)
			}
			return r.read(stdout.Bytes())
		case <-tick.C:
		}
		r.memory = max(r.memory, peak(cmd.Process.Pid))
		if kill != nil && kill() {
			_ = cmd.Process.Kill()
			if err := <-ended; err == nil {
				return fmt.Errorf("%s ended before it was killed", c.name)
			}
			return nil
		}
	}
}

// read reads what a program says at its end.
func (r *result) read(stdout []byte) error {
	var said struct {
		Left *int `json:"left"`
	}
	if err := json.Unmarshal(stdout, &said); err != nil || said.Left == nil {
		return fmt.Errorf("the program said %q, not how many orders are left", stdout)
	}
	r.said = *said.Left
	return nil
}

func (c *contender) command(ctx context.Context, dir string) (*exec.Cmd, error) {
	if c.script == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, self) //nolint:gosec // this program
		cmd.Env = append(os.Environ(), programVariable+"="+c.program)
		return cmd, nil
	}
	text, err := scripts.ReadFile("scripts/" + c.script)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, c.script)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "python3", path), nil //nolint:gosec // a script of this program
}

// peak returns the peak of the resident memory of a process, in KiB; 0 where that is not known. The usage that wait
// reports is no less than that of the parent.
func peak(pid int) int {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, err := number.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return n
}
