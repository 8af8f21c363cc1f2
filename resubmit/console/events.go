package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// How live updates are sent.
const (
	maxStreams = 64
	tick       = time.Second
	heartbeat  = 5 // ticks
)

// streams counts the open streams.
type streams struct{ n atomic.Int32 }

// live is what the script writes into the page: texts by their names, the values of progress bars, and what is hidden.
type live struct {
	Text   map[string]string `json:"text"`
	Value  map[string]int    `json:"value,omitempty"`
	Hidden map[string]bool   `json:"hidden,omitempty"`
	End    bool              `json:"end,omitempty"` // there are no more updates
}

// events sends live updates of a run or of a task.
func (t *streams) events(v *visit) error {
	next, err := liveSource(v)
	if err != nil {
		return err
	}
	now, err := next()
	if err != nil {
		return err
	}
	if now.End && v.r.Header.Get("Last-Event-ID") != "" {
		v.w.WriteHeader(http.StatusNoContent) // so that the browser does not connect again
		return nil
	}
	if t.n.Add(1) > maxStreams {
		t.n.Add(-1)
		return &problem{status: http.StatusServiceUnavailable, text: "too many pages are updated live; reload this one"}
	}
	defer t.n.Add(-1)
	s := &stream{w: v.w, control: http.NewResponseController(v.w)}
	if err := s.begin(); err != nil {
		v.w.Header().Del("X-Accel-Buffering")
		return &problem{status: http.StatusNotImplemented, text: "this server cannot send live updates; reload the page"}
	}
	return s.follow(v, now, next)
}

// follow sends updates until the end, or until the browser is gone or the user may not see them any more.
func (s *stream) follow(v *visit, now *live, next func() (*live, error)) error {
	for n := 1; ; n++ {
		if err := s.send(now); err != nil || now.End {
			return nil //nolint:nilerr // the browser is gone
		}
		if n%heartbeat == 0 && (!v.signedIn() || v.denied(View, "view", nil) != "" || s.still() != nil) {
			return nil //nolint:nilerr // the user may not see them any more, or the browser is gone
		}
		ctx, cancel := context.WithCancel(v.r.Context())
		stop := context.AfterFunc(v.site.tasks.ctx, cancel) // the console is being closed
		err := wait.For(ctx, tick, nil)
		stop()
		cancel()
		if err != nil {
			return nil //nolint:nilerr // the browser is gone
		}
		if now, err = next(); err != nil {
			v.site.cfg.Logger.Error("live updates ended", "error", err)
			return nil
		}
	}
}

// stream is an open stream.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	n       int
	last    string
}

func (s *stream) begin() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	_ = s.control.SetReadDeadline(time.Time{}) // not all hosts can
	if err := s.control.Flush(); err != nil {  // before anything is written
		return err
	}
	return s.write("retry: 3000\n\n")
}

// send sends an update, unless it is the same as before.
func (s *stream) send(l *live) error {
	data, err := json.Marshal(l)
	if err != nil || string(data) == s.last {
		return err
	}
	s.last = string(data)
	s.n++
	return s.write(fmt.Sprintf("id: %d\ndata: %s\n\n", s.n, data))
}

// still tells the script that the page is up to date although nothing has changed.
func (s *stream) still() error { return s.write("event: still\ndata: \n\n") }

// write writes and flushes. Each write has a deadline of its own, so that the WriteTimeout of a host does not end the
// stream.
func (s *stream) write(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // not all hosts can; then theirs holds
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// liveSource returns a function that returns the current update.
func liveSource(v *visit) (func() (*live, error), error) {
	if v.field("task") != "" {
		return liveTask(v)
	}
	run, err := v.run()
	if err != nil {
		return nil, err
	}
	after, err := v.int("after", 0)
	if err != nil {
		return nil, err
	}
	return func() (*live, error) { return v.site.liveRun(run.ID, after) }, nil
}

func liveTask(v *visit) (func() (*live, error), error) {
	id, err := v.int("task", 0)
	if err != nil {
		return nil, err
	}
	return func() (*live, error) {
		k := v.site.tasks.find(id)
		if k == nil || k.Done() {
			hidden := map[string]bool{"done": false, "working": true}
			return &live{Text: map[string]string{"state": "Done."}, Hidden: hidden, End: true}, nil
		}
		return &live{Text: map[string]string{"state": k.Progress()}}, nil
	}, nil
}

// liveRun returns the update of a run. after is the number of the newest event that the page shows.
func (s *site) liveRun(id string, after int) (*live, error) {
	status, err := s.dir.Status()
	if err != nil || status.Run == nil || status.Run.ID != id {
		return &live{Text: map[string]string{"state": "This is not the current run any more."}, End: true}, err
	}
	run := status.Run
	p := s.progressOf(run, &status)
	last, err := lastNumber(s.dir.Path(run, auditFile))
	if err != nil {
		return nil, err
	}
	l := &live{
		Text: map[string]string{
			"state": p.State, "why": p.Why, "done": count(p.Done), "rate": p.Rate, "eta": p.ETA,
			"percent": fmt.Sprintf("%d %%", percent(p.Done, p.Total)),
			"news":    fmt.Sprintf("%s, show them", plural(last-after, "new event")),
		},
		Value:  map[string]int{"done": p.Done},
		Hidden: map[string]bool{"news": last <= after, "eta": p.ETA == "", "ended": !run.Ended()},
		End:    run.Ended(),
	}
	l.Text["announce"] = fmt.Sprintf("%s, %d %% done", p.State, percent(p.Done, p.Total)/10*10)
	for _, c := range p.Cells {
		l.Text["n-"+c.Key], l.Hidden["c-"+c.Key] = count(c.N), c.Hidden
	}
	return l, nil
}
