package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// errBusy means that another task runs.
var errBusy = errors.New("the console is busy")

// applying is the name of the task that applies a plan.
const applying = "Applying the plan"

// task is work in the background of this process, such as planning.
type task struct {
	ID    int
	Name  string // such as "Reading the failed orders"
	By    string
	Start time.Time

	done chan struct{}

	mu       sync.Mutex
	progress string
	result   string // the page that shows the result
	err      error
}

// Progress returns how far the task is, in a few words.
func (t *task) Progress() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.progress
}

func (t *task) setProgress(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = s
}

// Done reports whether the task has ended.
func (t *task) Done() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// outcome returns the page with the result, and the error, of a task that has ended.
func (t *task) outcome() (page string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result, t.err
}

// wait waits until the task has ended, but not long.
func (t *task) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// tasks runs one task at a time.
type tasks struct {
	ctx    context.Context //nolint:containedctx // that of all tasks, until close
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu     sync.Mutex
	last   *task
	before *task  // the one before the last
	next   func() // starts what waits until the last one ends; nil if nothing does
	closed bool
}

func newTasks() *tasks {
	t := new(tasks)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// start starts a task. do returns the page with its result. The error matches errBusy while another task runs.
func (t *tasks) start(name, by string, do func(ctx context.Context, k *task) (page string, err error)) (*task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy() {
		return nil, fmt.Errorf("%w: %s since %s", errBusy, t.last.Name, t.last.Start.UTC().Format(time.TimeOnly))
	}
	return t.begin(name, by, do)
}

// startNext starts a task, or lets it start when the one that runs has ended. At most one waits.
func (t *tasks) startNext(name, by string, do func(ctx context.Context, k *task) (page string, err error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy() {
		t.next = func() { _, _ = t.begin(name, by, do) } // an error means that the console is being closed
		return nil
	}
	_, err := t.begin(name, by, do)
	return err
}

// busy reports whether a task runs. It needs the lock, as do begin and end.
func (t *tasks) busy() bool { return t.last != nil && !t.last.Done() }

func (t *tasks) begin(name, by string, do func(ctx context.Context, k *task) (page string, err error)) (*task, error) {
	if t.closed {
		return nil, fmt.Errorf("%w: it is being closed", errBusy)
	}
	k := &task{ID: 1, Name: name, By: by, Start: time.Now(), done: make(chan struct{})}
	if t.last != nil {
		k.ID = t.last.ID + 1
	}
	t.before, t.last = t.last, k
	t.all.Go(func() {
		defer t.end(k)
		var page string
		err := callback.Do(func() (err error) {
			page, err = do(t.ctx, k)
			return err
		})
		k.mu.Lock()
		defer k.mu.Unlock()
		k.result, k.err = page, err
	})
	return k, nil
}

// end ends a task, and starts the one that waits.
func (t *tasks) end(k *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(k.done)
	if next := t.next; next != nil {
		t.next = nil
		next()
	}
}

// find returns one of the last two tasks by its number; nil if it is neither.
func (t *tasks) find(id int) *task {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range []*task{t.last, t.before} {
		if k != nil && k.ID == id {
			return k
		}
	}
	return nil
}

// newest returns the task that was started last; nil if there is none.
func (t *tasks) newest() *task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// close ends the task and waits for it.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.all.Wait()
}
