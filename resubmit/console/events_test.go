package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/console"
)

// streamed is what a stream has sent.
type streamed struct {
	status int
	header http.Header
	lines  []string
}

// stream reads live updates until they end, or until d is over.
func (s *site) stream(target string, d time.Duration, header ...string) *streamed {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	r := s.request(http.MethodGet, target, nil).WithContext(ctx)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.console.ServeHTTP(w, r)
	out := &streamed{status: w.Code, header: w.Header()}
	for scan := bufio.NewScanner(w.Body); scan.Scan(); {
		out.lines = append(out.lines, scan.Text())
	}
	return out
}

// updates returns the updates of a stream.
func (o *streamed) updates(t *testing.T) (all []map[string]any) {
	t.Helper()
	for _, line := range o.lines {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || data == "" {
			continue
		}
		require.LessOrEqual(t, len(data), 4<<10)
		var update map[string]any
		require.NoError(t, json.Unmarshal([]byte(data), &update))
		all = append(all, update)
	}
	return all
}

func TestLiveUpdatesOfARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(2 * time.Second)
		require.Contains(t, s.page("run"), `data-events="events?after=`)
		out := s.stream("events?run="+run.ID, 30*time.Second)
		require.Equal(t, http.StatusOK, out.status)
		require.Equal(t, "text/event-stream; charset=utf-8", out.header.Get("Content-Type"))
		require.Equal(t, "no", out.header.Get("X-Accel-Buffering"))
		require.Equal(t, "retry: 3000", out.lines[0])
		require.Contains(t, out.lines, "event: still", "the script knows that it is connected")
		require.Equal(t, "Sending", out.updates(t)[0]["text"].(map[string]any)["state"])
		require.LessOrEqual(t, len(out.updates(t)), 30, "at most one per second")

		close(s.shop.hold)
		out = s.stream("events?run="+run.ID, time.Hour)
		updates := out.updates(t)
		last := updates[len(updates)-1]
		require.Equal(t, true, last["end"])
		require.Equal(t, "Ended", last["text"].(map[string]any)["state"])
		require.Equal(t, "16", last["text"].(map[string]any)["n-completed"])
		out = s.stream("events?run="+run.ID, time.Hour, "Last-Event-ID", "7")
		require.Equal(t, http.StatusNoContent, out.status, "so that the browser does not connect again")
	})
}

func TestLiveUpdatesEndWithTheRightToSeeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		go func() {
			time.Sleep(10 * time.Second)
			s.setRoles()
		}()
		begin := time.Now()
		s.stream("events?run="+run.ID, time.Hour)
		require.Less(t, time.Since(begin), 30*time.Second)
	})
}

func TestLiveUpdatesEndWithTheConsole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		go func() {
			time.Sleep(10 * time.Second)
			s.console.Close()
		}()
		begin := time.Now()
		s.stream("events?run="+run.ID, time.Hour)
		require.Less(t, time.Since(begin), 30*time.Second)
	})
}

func TestTheNumberOfStreamsIsLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		for range 64 {
			go s.stream("events?run="+run.ID, time.Minute)
		}
		time.Sleep(time.Second)
		require.Equal(t, http.StatusServiceUnavailable, s.stream("events?run="+run.ID, time.Minute).status)
		time.Sleep(2 * time.Minute)
		require.Equal(t, http.StatusOK, s.stream("events?run="+run.ID, time.Minute).status)
	})
}

// The middleware of some hosts hides Flush.
func TestWithoutFlushThereAreNoLiveUpdates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		w := httptest.NewRecorder()
		s.console.ServeHTTP(struct{ http.ResponseWriter }{w}, s.request(http.MethodGet,
			"events?run="+url.QueryEscape(run.ID), nil))
		require.Equal(t, http.StatusNotImplemented, w.Code)
	})
}

func TestASlowTaskShowsItsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		release := make(chan struct{})
		s.mount(func(c *console.Config) {
			c.Apply = func(context.Context) error { <-release; return nil }
		})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		body := s.page("task")
		require.Contains(t, body, "Applying the plan")
		require.Contains(t, body, "data-events=")
		go func() {
			time.Sleep(5 * time.Second)
			close(release)
		}()
		updates := s.stream("events?task=2", time.Minute).updates(t)
		require.Equal(t, true, updates[len(updates)-1]["end"])
		require.Equal(t, "run", s.serve(s.request(http.MethodGet, "task", nil)).Header.Get("Location"))
	})
}
