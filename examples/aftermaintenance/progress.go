package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/eta"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// follow shows the progress of the run that a call works on, until stop is called.
func (s *site) follow(ctx context.Context, o *state.OnceOptions) (stop func()) {
	if s.options.quiet {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	began := make(chan struct{}, 1)
	o.Applying = func(*state.Run) {
		select {
		case began <- struct{}{}:
		default:
		}
	}
	go func() {
		defer close(done)
		select {
		case <-began:
			s.watch(ctx, func(*state.Run) bool { return false })
		case <-ctx.Done():
		}
	}()
	return func() {
		cancel()
		<-done
		s.Stderr.Clear()
	}
}

// watchInterval is the time between two looks at a run. It is written once per second.
const watchInterval = 500 * time.Millisecond

// watch shows the progress of the newest run until ctx ends, or over says that it is over.
func (s *site) watch(ctx context.Context, over func(*state.Run) bool) {
	v := progressView{site: s}
	for {
		now, err := s.dir.Status()
		if err == nil && now.Run != nil {
			if over(now.Run) {
				return
			}
			v.show(now.Run, time.Now())
		}
		if wait.For(ctx, watchInterval, nil) != nil {
			return
		}
	}
}

// progressView shows a run: on a terminal by redrawing one line, otherwise by a line every 10 s and when the state
// changes.
type progressView struct {
	*site
	shown time.Time
	state string
}

func (v *progressView) show(run *state.Run, now time.Time) {
	if run.Live == nil {
		return
	}
	live := run.Live
	if v.Stderr.Terminal {
		v.Stderr.Show(progressLine(live, cmp.Or(v.waits(live), v.ends(live, now)), v.Width()-1))
		return
	}
	key := string(live.State) + live.Gate
	if key == v.state && now.Sub(v.shown) < progressInterval {
		return
	}
	v.state, v.shown = key, now
	fmt.Fprintln(v.Stderr, v.plainLine(run, now))
}

// ends says what a run that does not wait does before its end.
func (v *progressView) ends(live *resubmit.Status, now time.Time) string {
	canary, end := canaryStep(live), v.estimate(live, now)
	if canary == "" || end == "" {
		return canary + end
	}
	return canary + ", " + end
}

// canaryStep says how many of the orders are verified that the other ones of their groups wait for, such as
// "canary 2 of 5"; "" if none do.
func canaryStep(live *resubmit.Status) string {
	judged, limit := 0, 0
	for _, g := range live.Canary {
		if g.Limit > 0 && g.Tried >= g.Limit {
			judged, limit = judged+g.Good+g.Bad, limit+g.Limit
		}
	}
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf("canary %d of %d", judged, limit)
}

// estimate says when a run will probably end, such as "about 4 min (05:31)"; "" while too little is known.
func (v *progressView) estimate(live *resubmit.Status, now time.Time) string {
	if live.End.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", eta.Words(live.End.Sub(now)), live.End.In(v.location).Format("15:04"))
}

// waits says what a run waits for; "" for nothing.
func (v *progressView) waits(live *resubmit.Status) string {
	switch {
	case !live.RetryAfter.IsZero():
		return "Retry-After until " + v.clock(live.RetryAfter)
	case live.Gate != "" && !live.Until.IsZero():
		return live.Gate + " until " + v.clock(live.Until)
	case live.Gate != "":
		return live.Gate
	case live.Breaker != "" && live.Breaker != resubmit.BreakerClosed:
		return "the circuit breaker is " + string(live.Breaker)
	case live.Slowed != "":
		return "slower: " + live.Slowed
	default:
		return ""
	}
}

// progressLine is one line of at most width characters. Fields are left out from the right, never the count.
func progressLine(live *resubmit.Status, end string, width int) string {
	parts := []string{
		fmt.Sprintf("%d/%d done", live.Done, live.Total),
		fmt.Sprintf("%d verified", live.Result.Completed),
		fmt.Sprintf("%d failed again", live.Result.FailedAgain),
		fmt.Sprintf("%d in flight", live.Open),
	}
	if live.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.1f of %s calls/s", live.CallRate, rateText(live.Rate)))
	}
	if end != "" {
		parts = append(parts, text.OneLine(end))
	}
	for len(parts) > 1 {
		if line := strings.Join(parts, "  "); len([]rune(line)) <= width {
			return line
		}
		parts = parts[:len(parts)-1]
	}
	return parts[0]
}

// plainLine is a line for logs.
func (v *progressView) plainLine(run *state.Run, now time.Time) string {
	live := run.Live
	rest := "-"
	if waits := cmp.Or(v.waits(live), canaryStep(live)); waits != "" {
		rest = fmt.Sprintf("%q", waits)
	}
	eta, limit := "-", "-"
	if !live.End.IsZero() {
		eta = live.End.In(v.location).Format("15:04")
	}
	if live.Rate > 0 {
		limit = rateText(live.Rate)
	}
	return fmt.Sprintf("%s run=%s state=%s done=%d total=%d verified=%d failed_again=%d in_flight=%d rate=%.1f "+
		"limit=%s eta=%s waiting=%s",
		now.In(v.location).Format(time.RFC3339), short(run.Digest), cmp.Or(string(live.State), "idle"), live.Done, live.Total,
		live.Result.Completed, live.Result.FailedAgain, live.Open, live.CallRate, limit, eta, rest)
}

// progressInterval is the least time between two lines of progress without a terminal.
const progressInterval = 10 * time.Second

// showing returns a function that shows what is done: on a terminal by redrawing one line, otherwise by a line every
// 10 s.
func (p *program) showing() func(line string) {
	shown := time.Now()
	return func(line string) {
		switch {
		case p.options.quiet:
		case p.Stderr.Terminal:
			p.Stderr.Show(line)
		case time.Since(shown) >= progressInterval:
			shown = time.Now()
			fmt.Fprintln(p.Stderr, line)
		}
	}
}

// planProgress returns a function that shows the progress of planning.
func (p *program) planProgress() func(resubmit.PlanProgress) {
	show := p.showing()
	return func(now resubmit.PlanProgress) { show("Planning: " + now.String()) }
}

// connectProgress returns a function that shows that Connect is awaited.
func (p *program) connectProgress() func(availability.WaitResult) {
	began, show := time.Now(), p.showing()
	return func(availability.WaitResult) {
		if time.Since(began) >= time.Second { // it usually answers at once
			show("Waiting for Connect since " + p.clock(began))
		}
	}
}
