package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// work continues the unfinished run, or makes a plan and applies it, as the options say, and shows the result.
func (s *site) work(ctx context.Context, o state.OnceOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.windows != nil {
		go s.windows.refresh(ctx)
	}
	stop := s.follow(ctx, &o)
	result, err := s.dir.Once(ctx, o)
	stop()
	docs, shown := s.documents(result)
	if shown != nil {
		s.printError(errors.Join(err, shown))
		s.said = true
		return cmp.Or(err, shown)
	}
	return s.notify(ctx, result, docs, s.conclude(ctx, result, docs, err))
}

// notify sends how a call ended to the URL of -notify, if there is one. It returns err, or else why that failed.
func (s *site) notify(ctx context.Context, result *state.Result, docs []*report.Document, err error) error {
	if s.notifier == nil {
		return err
	}
	message := s.messageOf(result, docs, err, s.exitStatus(ctx, err))
	return s.firstOf(err, s.notifier.send(context.WithoutCancel(ctx), message))
}

// firstOf returns the first error. If there is also a second one, it prints it, so that it does not change how the
// program ends.
func (p *program) firstOf(first, second error) error {
	if first != nil && second != nil {
		p.printError(second)
		return first
	}
	return cmp.Or(first, second)
}

// prepare opens what -notify and -health need, before anything that may take long. stop ends -health.
func (s *site) prepare(ctx context.Context) (stop func(), err error) {
	if s.notifier, err = s.openNotifier(); err != nil {
		return nil, err
	}
	return s.serveHealth(ctx)
}

// documents returns the documents of the runs of a call, nil for those without a plan.
func (s *site) documents(result *state.Result) (docs []*report.Document, err error) {
	for _, run := range result.Runs {
		d, err := s.dir.Document(run)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// conclude shows what a call did, and what to do now.
func (s *site) conclude(ctx context.Context, result *state.Result, docs []*report.Document, err error) error {
	switch {
	case len(docs) == 0 && err == nil:
		return s.endedBefore()
	case len(docs) == 0:
		return s.cannotBegin(err)
	}
	run, d := result.Runs[len(result.Runs)-1], docs[len(docs)-1]
	if s.options.format != formatText && s.options.format != formatWide {
		err = s.firstOf(err, s.writeDocument(d))
	}
	s.left = s.left || needsPerson(run.Counts) || run.Report != nil && run.Result.Completed < run.Result.Total()
	switch {
	case run.Report != nil:
		return s.showResult(ctx, run, d, err)
	case err != nil:
		return s.cannotBegin(err)
	}
	out := s.out()
	fmt.Fprintln(out.Out, "Nothing was sent: there is nothing to resubmit.")
	if run.Counts.Total > 0 {
		out.Paragraph("", fmt.Sprintf("The plan %s has %s.", short(run.Digest), run.Counts))
		s.next = s.command("show", short(run.Digest))
	}
	if result.Previous != nil {
		out.Paragraph("", "The run before: "+result.Previous.String())
	}
	return nil
}

// endedBefore says how the run ended that was to be continued: a command had ended it, or it was not approved in time.
func (s *site) endedBefore() error {
	now, err := s.dir.Status()
	if err != nil {
		return err
	}
	if s.options.format != formatText && s.options.format != formatWide {
		d, err := s.dir.Document(now.Run)
		if err == nil {
			err = s.writeDocument(d)
		}
		if err != nil {
			return err
		}
	}
	s.next = s.command("plan")
	return stoppedError{fmt.Errorf("nothing was sent now, because the run has ended: %s", now.Run)}
}

// cannotBegin returns why a run did not begin, with the command that helps.
func (s *site) cannotBegin(err error) error {
	approval, needsApproval := errors.AsType[*state.ApprovalError](err)
	early, tooEarly := errors.AsType[*resubmit.TooEarlyError](err)
	switch {
	case needsApproval:
		s.next = s.command("apply", short(approval.Run.Digest))
		return waitError{fmt.Errorf("the plan %s needs an approval, and nothing was sent: %s", short(approval.Run.Digest),
			joinReasons(approval.Reasons))}
	case tooEarly:
		when := "Run the same command again later"
		if !early.Due.IsZero() {
			when = "Run the same command again after " + s.clock(early.Due)
		}
		s.next = when
		return waitError{fmt.Errorf("it is too early, and nothing was sent: %s must still wait", number(early.Wait, "order"))}
	case errors.Is(err, state.ErrPaused):
		s.next = s.command("resume")
	case is[*state.LockedError](err):
		s.next = s.command("status")
	case errors.Is(err, resubmit.ErrJournalMismatch):
		s.next = s.command("recover", "-reason", "TEXT")
	}
	return s.planningFailed(err)
}

func joinReasons(reasons []string) string {
	switch n := len(reasons); n {
	case 0:
		return "nobody has approved it"
	case 1:
		return reasons[0]
	default:
		text := reasons[0]
		for _, r := range reasons[1 : n-1] {
			text += ", " + r
		}
		return text + " and " + reasons[n-1]
	}
}
