package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// plain resubmits all failed orders by Order Management with bare net/http, as scripts/http_client.py does.
type plain struct {
	*job
	client *http.Client
}

func runPlain(ctx context.Context, j *job) error {
	p := plain{j, &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: j.Threads},
	}}
	orders, err := p.failed(ctx)
	if err != nil {
		return err
	}
	each(orders, j.Threads, func(_ int, id string) bool {
		p.call(ctx, http.MethodPost, "/"+id+"/push", `{"ofStatus":"PD"}`, nil)
		return true
	})
	readBack(orders, j.Threads, func(_ int, id string) bool {
		var o struct{ Status string }
		p.call(ctx, http.MethodGet, "/"+id, "", &o)
		return o.Status == "CP"
	})
	return nil
}

func (p plain) failed(ctx context.Context) (ids []string, err error) {
	for {
		var page []struct{ OrderID string }
		path := fmt.Sprintf("?in(status,(PF)),sort(+orderDate),limit(%d,100)", len(ids))
		if status := p.call(ctx, http.MethodGet, path, "", &page); status != http.StatusOK &&
			status != http.StatusPartialContent {
			return nil, fmt.Errorf("the list was answered with %d", status)
		}
		for _, o := range page {
			ids = append(ids, o.OrderID)
		}
		if len(page) < 100 {
			return ids, nil
		}
	}
}

// call returns the status of the answer; 0 if there was none.
func (p plain) call(ctx context.Context, method, path, body string, out any) int {
	for n := 0; n < tries; {
		status, wait, err := p.once(ctx, method, path, body, out)
		switch {
		case err == nil && status == http.StatusTooManyRequests:
			<-time.After(wait)
		case err == nil && status < 500:
			return status
		default:
			n++
			<-time.After(retryAfter)
		}
	}
	return 0
}

func (p plain) once(ctx context.Context, method, path, body string, out any) (int, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.Orders+path, strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("APS-Token", p.Token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && out != nil && resp.StatusCode < 300 {
		err = json.Unmarshal(text, out)
	}
	wait := retryAfter
	if seconds, err := number.Atoi(resp.Header.Get("Retry-After")); err == nil {
		wait = time.Duration(seconds) * time.Second
	}
	return resp.StatusCode, wait, err
}
