package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// Options are the options of a Worker.
type Options struct {
	// Plans has the plans: a Dir, a BlobStore, or the Plans of a sqljournal.Journal. Required.
	Plans plan.Store
	// Runner configures how orders are resubmitted, as without Temporal. Its Systems and Journal are those given to
	// Worker.
	Runner resubmit.Config
	// TaskQueue is the name of the task queue; attempts have another one, with the suffix "-push". Default DefaultQueue.
	TaskQueue string
	// Concurrency is how many orders this worker handles at the same time. Default: twice Runner.Concurrency, so that the
	// next ones are ready.
	Concurrency int
	// Watch has the workers decide when to plan, see StartWatch. It is the configuration of a [watch.Watcher] without Dir
	// and OnClosed; of State, only Plan, Limits and Approvers are used. Each worker reads the windows and observes the
	// outages. The default of Runner.Calendar is what they know, and that of Runner.MaxPlanAge is -1. Optional.
	Watch *watch.Config
	// Worker are options of the SDK for the worker of workflows and verifications.
	Worker worker.Options
}

// Workers are the workers of one process.
type Workers struct {
	workers  []worker.Worker
	sessions *sessions
	failed   chan error       // why a worker cannot continue
	watches  *watchActivities // nil if they do not watch
}

// NewWorkers returns the workers of a process, which resubmit orders when they run. All workers must share the journal
// and systems.SharedRate, which may be nil if Options.Runner.RateLimit is -1.
func NewWorkers(c client.Client, systems resubmit.Systems, journal resubmit.Journal, o Options) (*Workers, error) {
	o.Runner.Systems, o.Runner.Journal = systems, journal
	if _, memory := journal.(*resubmit.MemoryJournal); memory {
		return nil, errors.New("temporal: NewWorkers was given a MemoryJournal, which other workers do not see; " +
			"give one that they share, such as a *sqljournal.Journal")
	}
	if systems.SharedRate == nil && o.Runner.RateLimit != -1 {
		return nil, errors.New("temporal: Systems.SharedRate is nil; give the *sqljournal.Journal, which limits the rate " +
			"of all workers together")
	}
	if o.Plans == nil {
		return nil, errors.New("temporal: Options.Plans is nil; give a Dir, a BlobStore or sqljournal.Plans")
	}
	var known func() error
	usesWindows := o.Runner.Calendar == nil
	watches, err := newWatchActivities(&o)
	if err != nil {
		return nil, err
	}
	if watches != nil && usesWindows {
		known = watches.known
	}
	if _, err := resubmit.NewRunner(o.Runner); err != nil {
		return nil, err
	}
	if o.TaskQueue == "" {
		o.TaskQueue = DefaultQueue
	}
	if o.Concurrency == 0 {
		o.Concurrency = 2 * o.Runner.WithDefaults().Concurrency
	}
	w := &Workers{
		sessions: &sessions{cfg: o.Runner, plans: o.Plans, open: make(map[string]*session)}, watches: watches,
		failed: make(chan error, 2),
	}
	o.Worker.MaxHeartbeatThrottleInterval = heartbeat
	o.Worker.OnFatalError = w.fatal(o.Worker.OnFatalError)
	all := worker.New(c, o.TaskQueue, o.Worker)
	register(all)
	a := &activities{w.sessions, &alive{describe: c.DescribeWorkflow, seen: make(map[string]time.Time)}, known}
	all.RegisterActivityWithOptions(a.ready, activity.RegisterOptions{Name: readyActivity})
	all.RegisterActivityWithOptions(a.verify, activity.RegisterOptions{Name: verifyActivity})
	if watches != nil {
		watches.register(all)
	}
	pushes := worker.New(c, pushQueue(o.TaskQueue), worker.Options{
		MaxConcurrentActivityExecutionSize: o.Concurrency, DisableWorkflowWorker: true, Identity: o.Worker.Identity,
		MaxHeartbeatThrottleInterval: heartbeat, OnFatalError: o.Worker.OnFatalError,
		Interceptors: o.Worker.Interceptors, WorkerStopTimeout: o.Worker.WorkerStopTimeout,
	})
	pushes.RegisterActivityWithOptions(a.attempt, activity.RegisterOptions{Name: attemptActivity})
	w.workers = []worker.Worker{pushes, all}
	return w, nil
}

// register registers the workflows.
func register(w worker.WorkflowRegistry) {
	w.RegisterWorkflowWithOptions(runPlan, workflow.RegisterOptions{Name: planWorkflow})
	w.RegisterWorkflowWithOptions(runChain, workflow.RegisterOptions{Name: chainWorkflow})
	w.RegisterWorkflowWithOptions(runWatch, workflow.RegisterOptions{Name: watchWorkflow})
	w.RegisterWorkflowWithOptions(runOnce, workflow.RegisterOptions{Name: onceWorkflow})
}

// fatal returns what a worker calls when it cannot continue.
func (w *Workers) fatal(also func(error)) func(error) {
	return func(err error) {
		w.failed <- err // each of the two workers calls it once
		if also != nil {
			also(err)
		}
	}
}

// Run runs the workers until ctx ends. Then pushes in flight finish, as far as Options.Worker.WorkerStopTimeout allows;
// what becomes of others is found out by other workers. The error is why a worker could not start or continue, for
// instance that the namespace is gone; then all have stopped.
func (w *Workers) Run(ctx context.Context) error {
	defer w.sessions.close()
	if w.watches != nil {
		watching, stop := context.WithCancel(ctx)
		var refresher sync.WaitGroup
		refresher.Go(func() { w.watches.timing.Run(watching) })
		defer refresher.Wait()
		defer stop()
	}
	for _, x := range w.workers {
		if err := x.Start(); err != nil {
			return err
		}
		defer x.Stop()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.failed:
		return fmt.Errorf("temporal: a worker cannot continue: %w", err)
	}
}
