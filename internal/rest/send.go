package rest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

// Response is an accepted answer. The caller closes the Body.
type Response struct {
	Status int
	Header http.Header
	Body   io.ReadCloser // at most MaxBody bytes; reading past that is an *Error, not EOF

	secrets secrets // of the request, to remove from later errors
	failed  func(error) *Error
}

// Scrub removes the credentials that a server repeats from a part of the body.
func (r *Response) Scrub(some []byte) []byte { return r.secrets.scrub(some) }

// ScrubHeader returns a header of the answer without the credentials that it repeats.
func (r *Response) ScrubHeader(name string) string {
	return string(r.secrets.scrub([]byte(r.Header.Get(name))))
}

// Clean returns err without the credentials that it quotes, and in that case without causes.
func (r *Response) Clean(err error) error { return r.secrets.clean(err) }

// CleanTexts removes the credentials that some texts quote, in place.
func (r *Response) CleanTexts(texts []string) {
	for i, s := range texts {
		texts[i] = string(r.secrets.scrub([]byte(s)))
	}
}

// Failed returns the error of an answer with an accepted status and a bad body; err says why.
func (r *Response) Failed(err error) *Error {
	return r.failed(err)
}

// Do sends a request. Every error is an *Error. Unlike [Client.JSON], it does not retry a read
// whose body is truncated.
func (c *Client) Do(ctx context.Context, req Request) (*Response, error) {
	resp, err := c.run(ctx, &req, false)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// run tries until there is an accepted answer or a permanent error.
func (c *Client) run(ctx context.Context, req *Request, whole bool) (*Response, *Error) {
	u, err := c.target(req)
	if err != nil {
		return nil, &Error{Op: req.Op, Method: req.Method, NotSent: true, Local: true, Err: err}
	}
	tries := 1
	if req.Safety == Read {
		tries = c.cfg.MaxTries
	}
	waits := newBackOff(ctx, c.cfg.MaxWait)
	renewed, stale := false, 0
	for n := 1; ; n++ {
		t := try{c: c, req: req, url: u, number: n}
		resp, e := t.send(ctx, whole)
		if e == nil {
			return resp, nil
		}
		if t.stale && stale < mostStale {
			stale++
			n-- // no request was sent
			continue
		}
		if t.refused(e) && !renewed {
			renewed = true
			if c.renew(ctx, t.sent) && req.Safety == Read {
				tries++ // a refusal does not count as a try
				continue
			}
		}
		if n >= tries || !t.retryable || ctx.Err() != nil {
			return nil, e
		}
		wait := waits.NextBackOff()
		if e.RetryAfter > c.cfg.MaxWait {
			return nil, e
		} else if e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		if err := sleep(ctx, wait); err != nil {
			e.Err = fmt.Errorf("%w while waiting to try again: %w", err,
				cmp.Or(e.Err, errors.New("the server asked for another try")))
			return nil, e
		}
	}
}

// mostStale limits how often a call may hit a connection that the server has closed.
const mostStale = 3

// renew renews the credentials within the timeout of a try, because other calls wait for it.
func (c *Client) renew(ctx context.Context, refused *http.Request) bool {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return c.cfg.Auth.Renew(ctx, refused)
}

// try is one sending of a request.
type try struct {
	c      *Client
	req    *Request
	url    *url.URL
	number int

	sent      *http.Request // nil when it could not be made
	secrets   secrets
	retryable bool
	stale     bool // the server closed the connection before anything was written to it
}

// refused reports whether the server refused the credentials of this try.
func (t *try) refused(e *Error) bool {
	return t.c.cfg.Auth != nil && !t.req.NoAuth && t.sent != nil &&
		(e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

func (t *try) send(parent context.Context, whole bool) (*Response, *Error) {
	if err := t.c.cfg.Pace.wait(parent, t.c.cfg.MaxWait); err != nil {
		return nil, t.held(err)
	}
	r, err := t.request(parent)
	if err != nil {
		e := t.failed(err)
		e.NotSent, e.Local = true, true
		t.log(parent, nil, e, 0)
		return nil, e
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(parent, t.c.cfg.Timeout)
	resp, e := t.exchange(parent, ctx, cancel, r)
	if e == nil && whole {
		e = t.readWhole(resp)
	}
	if e != nil {
		cancel()
	}
	t.log(parent, resp, e, time.Since(began))
	if e != nil {
		return nil, e
	}
	return resp, nil
}

// request returns the request, with credentials, after waiting for the rate limit. The wait has
// no timeout: at a low rate it may take longer than a try.
func (t *try) request(ctx context.Context) (*http.Request, error) {
	r, err := t.c.prepare(ctx, t.req, t.url)
	if err == nil {
		err = t.authorize(ctx, r)
	}
	if err == nil {
		err = ratelimit.Wait(ctx) // after a sign-in, which waits separately
	}
	if err == nil {
		err = checkHeader(r.Header)
	}
	return r, cmp.Or(err, ctx.Err())
}

func (t *try) exchange(parent, ctx context.Context, cancel context.CancelFunc, r *http.Request) (*Response, *Error) {
	w := wire{host: t.url.Host, push: t.req.Safety == Unsafe}
	wired, stop := context.WithCancelCause(ctx)
	w.stop = stop // ctx ends it
	r = r.WithContext(w.watch(wired))
	t.sent = r
	client := t.c.http
	if t.req.Fresh || t.req.Safety == Unsafe {
		client = t.c.push
	}
	sent := time.Now()
	answer, err := client.Do(r) //nolint:bodyclose // closed by notGood or by the body handed out
	if err != nil {
		err = explainTrust(cause(err))
		if w.stopped() {
			err = errReplay
		}
		_, distrust := errors.AsType[*trustError](err)
		t.retryable = parent.Err() == nil && !distrust
		t.stale = !distrust && w.stale(ctx)
		e := t.failed(t.why(parent, ctx, err))
		e.NotSent = w.untouched(ctx, err)
		return nil, e
	}
	reportDate(ctx, t.url.Host, answer.Header, sent, time.Now())
	if !t.req.accepts(answer.StatusCode) {
		return nil, t.notGood(answer)
	}
	failed := func(err error) *Error {
		e := t.failed(err)
		e.Status, e.Header = answer.StatusCode, t.secrets.scrubHeader(answer.Header)
		return e
	}
	return &Response{Status: answer.StatusCode, Header: answer.Header, secrets: t.secrets, failed: failed, Body: &body{
		ReadCloser: answer.Body, left: t.c.cfg.MaxBody, limit: t.c.cfg.MaxBody, cancel: cancel,
		wrap: func(err error) *Error { return failed(t.why(parent, ctx, err)) },
	}}, nil
}

// authorize adds credentials within the timeout of a try.
func (t *try) authorize(ctx context.Context, r *http.Request) error {
	t.secrets = t.req.Secrets
	if t.c.cfg.Auth == nil || t.req.NoAuth {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.c.cfg.Timeout)
	defer cancel()
	before := r.Header.Clone()
	err := t.c.cfg.Auth.Apply(ctx, r)
	t.secrets = append(secretsOf(before, r.Header), t.req.Secrets...)
	return err
}

// why adds whether the context of the caller or the timeout ended a try.
func (t *try) why(parent, ctx context.Context, err error) error {
	switch {
	case parent.Err() != nil && !errors.Is(err, parent.Err()):
		return fmt.Errorf("%w: %w", parent.Err(), err)
	case parent.Err() == nil && ctx.Err() != nil:
		return fmt.Errorf("no whole answer within %s: %w", t.c.cfg.Timeout, ctx.Err())
	default:
		return err
	}
}

func (t *try) failed(err error) *Error {
	return &Error{
		Op: t.req.Op, Method: t.req.Method, URL: t.url.String(), Err: t.secrets.clean(err), refused: t.c.cfg.Refused,
	}
}

// notGood returns the error of an answer with a status that is not accepted.
func (t *try) notGood(answer *http.Response) *Error {
	defer func() { _ = answer.Body.Close() }()
	e := t.failed(nil)
	e.Status = answer.StatusCode
	e.Header = t.secrets.scrubHeader(answer.Header)
	e.RetryAfter = retryAfter(answer.Header)
	if e.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
		e.RetryAfter = t.c.cfg.Busy
	}
	t.c.cfg.Pace.hold(e.RetryAfter)
	ratelimit.ReportRetryAfter(t.sent.Context(), e.RetryAfter)
	start, err := io.ReadAll(io.LimitReader(answer.Body, errorBody))
	if err == nil {
		_, _ = io.CopyN(io.Discard, answer.Body, drain)
	}
	e.Body = t.secrets.scrub(start)
	if e.Status >= 300 && e.Status <= 399 {
		e.Err = t.secrets.clean(redirected(answer))
	}
	t.retryable = retryableStatus(e.Status) && (t.req.Final == nil || !t.req.Final(e.Body))
	return e
}

func redirected(answer *http.Response) error {
	to, err := answer.Location()
	if err != nil || to.Host == "" {
		return errors.New("redirects are not followed: check the base URL")
	}
	return fmt.Errorf("redirected to %s://%s: redirects are not followed, set the base URL to where the API "+
		"is", to.Scheme, to.Host)
}

// readWhole replaces the body by its content, so that a truncated body counts as a failed try.
func (t *try) readWhole(resp *Response) *Error {
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		_, long := errors.AsType[*tooLongError](err)
		t.retryable = !long
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = t.failed(err)
		}
		return e
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return nil
}

func (t *try) log(ctx context.Context, resp *Response, e *Error, elapsed time.Duration) {
	if !t.c.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("op", t.req.Op), slog.String("method", t.req.Method), slog.String("url", t.url.String()),
		slog.Int("attempt", t.number), slog.Duration("elapsed", elapsed),
	}
	if e != nil {
		attrs = append(attrs, slog.Int("status", e.Status), slog.String("error", e.Error()))
	} else {
		attrs = append(attrs, slog.Int("status", resp.Status))
	}
	t.c.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "http", attrs...)
}
