package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// notifier sends the result of a run to a URL.
type notifier struct {
	url    string
	secret string
	orders bool
	client *http.Client
	pause  time.Duration // before the second try; it doubles
}

// message is what is sent. The header X-Signature-256 has "sha256=" and the HMAC-SHA256 of X-Timestamp, a point and
// the body, in hexadecimal.
type message struct {
	Program  string                 `json:"program"`
	System   string                 `json:"system"`
	Run      string                 `json:"run,omitempty"`
	Digest   string                 `json:"digest,omitempty"`
	End      state.End              `json:"end,omitempty"`
	Planned  plan.ActionCounts      `json:"planned"`
	Outcomes resubmit.OutcomeCounts `json:"outcomes"`
	Waiting  report.Tally           `json:"waiting"`
	Status   int                    `json:"exitStatus"`
	Error    string                 `json:"error,omitempty"`
	Next     string                 `json:"next,omitempty"`
	Steps    []report.Step          `json:"steps,omitempty"`
	Orders   []report.Item          `json:"orders,omitempty"`
}

// openNotifier returns the notifier of the configuration; nil for none.
func (s *site) openNotifier() (*notifier, error) {
	c := s.cfg.Notify
	switch {
	case c.URL == "" && c.Orders:
		return nil, usagef("-notify-orders needs -notify: the URL to which they are sent")
	case c.URL == "":
		return nil, nil //nolint:nilnil // there is none
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, usagef("-notify: give an https:// URL")
	}
	secret, err := s.secret(s.cfg, "NOTIFY_SECRET")
	if err != nil {
		return nil, err
	}
	if secret == "" {
		return nil, usagef("-notify needs the environment variable NOTIFY_SECRET, with which messages are signed")
	}
	client := s.notifyClient
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	return &notifier{url: c.URL, secret: secret, orders: c.Orders, client: client, pause: time.Second}, nil
}

// messageOf returns the message about a call that ends with an error and a status.
func (s *site) messageOf(r *state.Result, docs []*report.Document, err error, status int) message {
	m := message{Program: programName, System: s.systems.Name, Status: status, Next: s.next}
	if err != nil {
		m.Error = err.Error()
	}
	if len(docs) == 0 {
		return m
	}
	run, d := r.Runs[len(r.Runs)-1], docs[len(docs)-1]
	m.Run, m.Digest, m.End, m.Planned, m.Outcomes = run.ID, run.Digest, run.End, d.Planned, d.Outcomes
	m.Waiting, m.Steps = d.Waiting, d.Next
	if s.notifier.orders {
		m.Orders = d.Items
	}
	return m
}

// notifyTries is how often a message is sent at most.
const notifyTries = 4

// send sends a message. It tries again after errors, 429 and 5xx.
func (n *notifier) send(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	pause := n.pause
	for try := 1; ; try++ {
		again, err := n.post(ctx, body)
		if err == nil {
			return nil
		}
		if !again || try == notifyTries || wait.For(ctx, pause, nil) != nil {
			return fmt.Errorf("-notify: the result could not be sent: %w", err)
		}
		pause *= 2
	}
}

// post sends a message once, and reports whether to try again after an error.
func (n *notifier) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the URL is not valid")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(n.secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", programName)
	req.Header.Set("X-Timestamp", at)
	req.Header.Set("X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := n.client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // the URL may be a secret
		}
		return true, err
	}
	defer func() { _ = resp.Body.Close() }()                      // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode/100 == 5, fmt.Errorf("the answer is %s",
		resp.Status)
}
