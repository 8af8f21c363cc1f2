package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
)

// receiver records the messages of -notify.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []int // of the first calls; then 204
	messages []message
}

func newReceiver(t *testing.T, secret string, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(req.Header.Get("X-Timestamp") + "."))
		mac.Write(body)
		assert.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), req.Header.Get("X-Signature-256"))
		at, err := strconv.ParseInt(req.Header.Get("X-Timestamp"), 10, 64)
		assert.NoError(t, err)
		assert.WithinDuration(t, time.Now(), time.Unix(at, 0), time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.answers) > 0 {
			w.WriteHeader(r.answers[0])
			r.answers = r.answers[1:]
			return
		}
		var m message
		assert.NoError(t, json.Unmarshal(body, &m))
		r.messages = append(r.messages, m)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestNotify(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := inMaintenance(w)
	const secret = "s3cret-of-the-receiver"
	env["NOTIFY_SECRET"] = secret
	r := newReceiver(t, secret, http.StatusServiceUnavailable, http.StatusTooManyRequests)
	notify := call{env: env, client: func(p *program) { p.notifyClient = r.Client() }}
	args := with(flags, append([]string{"run", "-notify", r.URL + "/hook?token=s3cret"}, inWindow(w)...)...)
	status, stdout, stderr := notify.run(t.Context(), args...)
	require.Equal(t, exitDone, status, stderr)
	requireCompleted(t, w, orders)
	require.Len(t, r.messages, 1, "after two tries")
	m := r.messages[0]
	require.Equal(t, len(orders), m.Outcomes.Completed)
	require.Equal(t, exitDone, m.Status)
	require.Empty(t, m.Orders, "only on request")
	require.NotEmpty(t, m.Digest)

	status, _, stderr = notify.run(t.Context(), with(args, "-notify-orders", "-order", "SO999999")...)
	require.Equal(t, exitError, status, stderr)
	require.Contains(t, r.messages[1].Error, "SO999999")

	r.answers = []int{http.StatusForbidden}
	status, _, stderr = notify.run(t.Context(), with(args, "-notify-orders")...)
	require.Equal(t, exitError, status, stderr)
	require.Contains(t, errorLine(t, stderr), "-notify: the result could not be sent: the answer is 403 Forbidden")
	require.NotContains(t, stdout+stderr, "s3cret")
	status, _, stderr = notify.run(t.Context(), with(args, "-notify-orders")...)
	require.Equal(t, exitDone, status, stderr)
	require.NotEmpty(t, r.messages[2].Orders)
}

func TestNotifyOfAnInterruptedRun(t *testing.T) {
	t.Parallel()
	for _, answers := range [][]int{nil, {http.StatusForbidden}} {
		w, env, flags := live(t)
		done(t, env, with(flags, "plan")...)
		env["NOTIFY_SECRET"] = "s3cret"
		r := newReceiver(t, "s3cret", answers...)
		ctx, interrupt := context.WithCancelCause(t.Context())
		go func() {
			pushed := func() bool { return len(w.Commerce.Pushes()) > 0 || ctx.Err() != nil }
			assert.Eventually(t, pushed, time.Minute, time.Millisecond)
			interrupt(signalError{syscall.SIGINT})
		}()
		status, stdout, stderr := call{env: env, client: func(p *program) { p.notifyClient = r.Client() }}.run(ctx,
			with(flags, "apply", "-yes", "-rate", "50/s", "-notify", r.URL)...)
		require.Equal(t, 130, status, stderr)
		require.Contains(t, stdout, "Interrupted. ")
		require.NotContains(t, stderr, "before anything was sent")
		if answers == nil {
			require.Equal(t, 130, r.messages[0].Status)
			continue
		}
		require.Empty(t, r.messages)
		require.Contains(t, errorLine(t, stderr), "-notify: the result could not be sent: the answer is 403 Forbidden")
	}
}

func TestNotifyIfConnectStaysDown(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, "plan")...)
	w.Connect.SetMaintenance(true)
	env["NOTIFY_SECRET"] = "s3cret"
	r := newReceiver(t, "s3cret")
	for command, want := range map[string]int{"run": exitWait, "apply": exitError} {
		r.messages = nil
		status, stdout, stderr := call{env: env, client: func(p *program) { p.notifyClient = r.Client() }}.run(t.Context(),
			with(flags, command, map[string]string{"run": "-wait-at-most=0s", "apply": "-yes"}[command], "-notify", r.URL)...)
		require.Equal(t, want, status, stderr)
		require.Empty(t, stdout)
		require.Len(t, r.messages, 1)
		require.Equal(t, want, r.messages[0].Status)
		require.Contains(t, r.messages[0].Error, "connect is not up")
		require.Contains(t, r.messages[0].Next, command)
	}
	require.Empty(t, w.Commerce.Pushes())
}

func TestNotifyHasTheExitStatus(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	number := failedForMaintenance(t, w, "PRD-100-200-302", 1)[0]
	done(t, env, with(flags, "plan", "-order", number)...)
	env["NOTIFY_SECRET"] = "s3cret"
	r := newReceiver(t, "s3cret")
	status, _, stderr := call{env: env, client: func(p *program) { p.notifyClient = r.Client() }}.run(t.Context(),
		with(flags, "apply", "-yes", "-detailed-exitcode", "-notify", r.URL)...)
	require.Equal(t, exitLeft, status, stderr)
	require.Equal(t, exitLeft, r.messages[0].Status)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	var out lockedText
	p := &program{Terminal: terminal.Terminal{
		Stdout: io.Discard, Stderr: terminal.NewScreen(&out), Getenv: func(name string) string { return env[name] },
	}}
	p.options.state, p.options.commerceURL, p.options.connect = stateOf(flags), flags[1], flags[3]
	opened, err := p.openDir(t.Context())
	require.NoError(t, err)
	opened.options.health = "127.0.0.1:0"
	stop, err := opened.serveHealth(t.Context())
	require.NoError(t, err)
	url := healthURL(t, out.String())
	answer, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	stop()
	_, err = http.Get(url)
	require.Error(t, err)
	requireRejected(t, env, with(flags, "run", "-health", "nowhere"), exitError, "-health: ")
}

func TestHealthWhileConnectIsDown(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	w.Connect.SetMaintenance(true)
	var out lockedText
	p := &program{Terminal: terminal.Terminal{
		Stdout: io.Discard, Stderr: terminal.NewScreen(&out), Getenv: func(name string) string { return env[name] },
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- p.run(ctx, with(flags, "run", "-health", "127.0.0.1:0")) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "/livez") }, time.Minute, time.Millisecond)
	answer, err := http.Get(healthURL(t, out.String()))
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	stop()
	require.NotEqual(t, exitDone, <-ended)
}

func TestNotifyIsCheckedFirst(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, "plan")...)
	w.Connect.SetMaintenance(true)
	for _, command := range []string{"run", "apply"} { // before run waits, and before apply asks
		requireRejected(t, env, with(flags, command, "-notify", "https://x"), exitUsage, "NOTIFY_SECRET")
	}
	require.Empty(t, w.Commerce.Pushes())
}

// lockedText is text that several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text []byte
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

// String returns the text.
func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func healthURL(t *testing.T, text string) string {
	t.Helper()
	found := regexp.MustCompile(`http://\S+/livez`).FindString(text)
	require.NotEmpty(t, found, text)
	return found
}
