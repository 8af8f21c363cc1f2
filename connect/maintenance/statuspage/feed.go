package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// feed is one document of the page, cached by its ETag.
type feed[T any] struct {
	client   *rest.Client
	op, path string
	decode   func(json.RawMessage) (T, error)

	mu   sync.Mutex
	etag string // of last
	last T
}

// clock is how far the clock of the page is ahead of the local one.
type clock struct{ off time.Duration }

// get fetches the document.
func (f *feed[T]) get(ctx context.Context) (T, clock, error) {
	etag, last := f.known()
	req := rest.Request{Op: f.op, Method: http.MethodGet, Path: f.path, Safety: rest.Read}
	if etag != "" {
		req.Header = http.Header{"If-None-Match": {etag}}
	}
	var none T
	var raw json.RawMessage
	resp, err := f.client.JSON(ctx, req, &raw)
	if e, ok := errors.AsType[*rest.Error](err); ok && e.Status == http.StatusNotModified && etag != "" {
		return last, clockOf(e.Header), nil
	}
	if err != nil {
		return none, clock{}, err
	}
	decoded, err := f.decode(raw)
	if err != nil {
		return none, clock{}, resp.Failed(err)
	}
	f.keep(resp.Header.Get("ETag"), decoded)
	return decoded, clockOf(resp.Header), nil
}

func (f *feed[T]) known() (etag string, last T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.etag, f.last
}

func (f *feed[T]) keep(etag string, decoded T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.etag, f.last = etag, decoded
}

// clockOf reads the clock from an answer, which may come from an HTTP cache.
func clockOf(h http.Header) clock {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return clock{} // unknown
	}
	if age, err := number.ParseInt(h.Get("Age"), 10, 32); err == nil && age > 0 {
		at = at.Add(time.Duration(age) * time.Second)
	}
	return clock{off: time.Until(at)}
}
