package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// errRecovered ends a process that found another journal than expected. An operator has accepted the loss.
var errRecovered = errors.New("the journal was lost, and an operator has recovered it")

// maxEarly is how many plans of a program may be too early.
const maxEarly = 5

// program makes plans and applies them, one after the other. It is restarted until it has finished.
type program struct {
	w     *world
	index int
	spec  *programSpec

	plan  *approvedPlan // that is being applied; nil for none
	made  int           // plans that were approved
	done  int           // plans that were applied
	early int
	lost  bool // the loss of the scenario has happened
	// current is the running process; nil for none. The lock of the world guards it.
	current *process
	report  *resubmit.Report
}

// approvedPlan is a plan that an operator approved, as a file.
type approvedPlan struct {
	number    int // of its program, from 0
	data      []byte
	signature *plan.Signature // nil if plans need none
	approval  *approval
	swapped   bool // the swap of the scenario has happened
}

// runPrograms runs all programs until they have finished.
func (w *world) runPrograms(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, w.start.Add(maxDuration))
	defer cancel()
	for _, g := range w.programs {
		w.running.Go(func() {
			if sleep(ctx, time.Until(w.start.Add(g.spec.start))) == nil {
				g.run(ctx)
			}
		})
	}
	w.running.Wait()
}

// run starts the program until it has finished.
func (g *program) run(ctx context.Context) {
	for number := 0; ; number++ {
		if ctx.Err() != nil || number == maxProcesses {
			g.w.checker.violate("end", -1, "program %d has not finished after %v and %d processes", g.index,
				time.Since(g.w.start).Round(time.Second), number)
			return
		}
		if g.shares() != nil && !g.takePlan(ctx) {
			return
		}
		downtime, finished := g.runProcess(ctx, number)
		if finished {
			return
		}
		_ = sleep(ctx, downtime) // an error is checked above
	}
}

// shares is the program whose plan this one applies too; nil for none.
func (g *program) shares() *program {
	if !g.spec.shares || g.index == 0 {
		return nil
	}
	return g.w.programs[0]
}

// takePlan waits for the plan of the other program. It returns false if there is none.
func (g *program) takePlan(ctx context.Context) bool {
	for g.plan == nil {
		g.w.mu.Lock()
		g.plan = g.w.shared
		over := g.w.programs[0].done > 0
		g.w.mu.Unlock()
		if g.plan == nil && (over || sleep(ctx, time.Second) != nil) {
			return false
		}
	}
	return true
}

// runProcess runs one process. It returns how long after its end the next one starts.
func (g *program) runProcess(ctx context.Context, number int) (downtime time.Duration, finished bool) {
	p := newProcess(ctx, g, number)
	defer p.stop(nil)
	err := p.runToEnd()
	if g.spec.loss != nil && !g.lost && number >= g.spec.loss.after {
		g.lost = true
		g.w.lose(g.spec.loss)
	}
	if p.killed() {
		g.w.restartClock(p.crash.clockAhead)
		return p.crash.downtime, false
	}
	if errors.Is(err, resubmit.ErrLeaseLost) {
		g.w.count("leases lost")
	}
	early, tooEarly := errors.AsType[*resubmit.TooEarlyError](err)
	switch {
	case err == nil:
		return g.spec.pause, g.applied()
	case tooEarly:
		g.w.count("plans that were too early")
		if g.early++; g.early == maxEarly {
			return 0, true
		}
		g.drop()
		return max(time.Minute, time.Until(early.Due)), false
	case errors.Is(err, errRecovered), errors.Is(err, resubmit.ErrJournalMismatch):
		g.drop()
		return time.Minute, false
	default:
		return time.Minute, false
	}
}

// applied notes that a plan was applied, and reports whether it was the last one.
func (g *program) applied() (last bool) {
	g.drop()
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.done++
	return g.done >= g.spec.plans
}

// drop ends the work on a plan.
func (g *program) drop() {
	g.plan = nil
	if g.index == 0 {
		g.w.mu.Lock()
		g.w.shared = nil
		g.w.mu.Unlock()
	}
}

// signingKey is the key of the operator who approves plans.
var signingKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// approve keeps a plan as the approved one.
func (g *program) approve(data []byte, a *approval) error {
	n := &approvedPlan{number: g.made, data: data, approval: a}
	g.made++
	if g.w.s.signed {
		made, err := plan.Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return err
		}
		if n.signature, err = made.Sign(signingKey, "operator"); err != nil {
			return err
		}
	}
	g.plan = n
	if g.index == 0 {
		g.w.mu.Lock()
		g.w.shared = n
		g.w.mu.Unlock()
	}
	if g.made > 1 {
		g.w.count("further plans of a program")
	}
	return nil
}

// open opens the plan file, which somebody may have replaced since it was approved.
func (g *program) open() (*plan.Plan, error) {
	n := g.plan
	file := &planFile{data: n.data}
	signature := n.signature
	if swap := g.spec.swap; swap != nil && swap.plan == n.number && !n.swapped {
		n.swapped = true
		g.w.count("plan replaced after its approval: " + string(swap.kind))
		other := resubmitAll(n.data)
		switch swap.kind {
		case swapEdited:
			file.data = bytes.Clone(n.data)
			file.data[len(file.data)/2] ^= 1
		case swapUnsigned:
			file.data, signature = other, nil
		case swapForged:
			file.data = other
		case swapLate:
			file.later, file.from = other, time.Now().Add(swap.after)
		}
	}
	opened, err := plan.Read(file, int64(len(file.data)))
	if err != nil || signature == nil {
		return opened, err
	}
	return opened.WithSignature(signature), nil
}

// planFile is a plan file that may be overwritten while it is open.
type planFile struct {
	data, later []byte
	from        time.Time // when later replaces data
}

// ReadAt implements [io.ReaderAt].
func (f *planFile) ReadAt(b []byte, at int64) (int, error) {
	data := f.data
	if f.later != nil && !time.Now().Before(f.from) {
		data = f.later
	}
	return bytes.NewReader(data).ReadAt(b, at)
}

// resubmitAll returns a plan that resubmits all orders of another one.
func resubmitAll(data []byte) []byte {
	p, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return data
	}
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, p.Header())
	if err != nil {
		return data
	}
	for e, err := range p.Entries() {
		if err != nil {
			return data
		}
		e.Decision.Action, e.Due = rules.Resubmit, time.Time{}
		if err := w.Write(e); err != nil {
			return data
		}
	}
	if _, _, err := w.Close(); err != nil {
		return data
	}
	return b.Bytes()
}

func (g *program) String() string { return fmt.Sprintf("program %d", g.index) }
