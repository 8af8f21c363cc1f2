package killtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"time"
)

// moment is when a program is killed.
type moment string

const (
	anytime    moment = "at a random time"
	nearClaim  moment = "around a claim"
	onWire     moment = "when a push arrived, which was lost"
	late       moment = "when a push arrived, which was carried out late"
	unanswered moment = "when a push was carried out, before its answer"
	answered   moment = "around the answer to a push"
	again      moment = "at the second push of an order whose first one was lost"
)

// moments are drawn at random, so those near pushes more often.
var moments = []moment{anytime, nearClaim, nearClaim, onWire, onWire, onWire, late, unanswered, unanswered, answered}

// shot is a kill that is to happen.
type shot struct {
	moment moment
	delay  time.Duration // after the event
	lag    time.Duration // of late, until the push is carried out
	skip   int           // events before
	kill   func()        // kills the program, and returns when it has ended
}

// killer is a Commerce that kills its client.
type killer struct {
	next   http.Handler
	onPush func(order string)

	mu    sync.Mutex
	shot  *shot           // nil: none
	lost  map[string]bool // orders whose push never arrived
	later sync.WaitGroup
}

// arm sets the next shot; nil for none.
func (k *killer) arm(s *shot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shot = s
}

// hasLost reports whether a push was lost.
func (k *killer) hasLost() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.lost) > 0
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := k.take(r)
	if s == nil {
		k.perform(w, r)
		return
	}
	switch s.moment {
	case onWire, again:
		s.kill()
	case late:
		body, _ := io.ReadAll(r.Body)
		s.kill()
		k.later.Go(func() {
			time.Sleep(s.lag)
			r := r.Clone(context.Background())
			r.Body = io.NopCloser(bytes.NewReader(body))
			k.perform(httptest.NewRecorder(), r)
		})
	case unanswered:
		k.perform(httptest.NewRecorder(), r)
		s.kill()
	default:
		k.later.Go(func() {
			time.Sleep(s.delay)
			s.kill()
		})
		k.perform(w, r)
	}
}

func (k *killer) perform(w http.ResponseWriter, r *http.Request) {
	if order, push := pushOf(r); push {
		k.onPush(order)
	}
	k.next.ServeHTTP(w, r)
}

// pushOf returns the order that a request reads or pushes; "" for others.
func pushOf(r *http.Request) (order string, push bool) {
	if !strings.Contains(r.URL.Path, "/orders/") {
		return "", false
	}
	if r.Method == http.MethodPost {
		return path.Base(path.Dir(r.URL.Path)), true
	}
	return path.Base(r.URL.Path), false
}

// take returns the shot if the request is its event.
func (k *killer) take(r *http.Request) *shot {
	order, push := pushOf(r)
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.shot
	if s == nil || order == "" {
		return nil
	}
	switch s.moment {
	case anytime:
		return nil
	case nearClaim:
		if push {
			return nil
		}
	case again:
		if !push || !k.lost[order] {
			return nil
		}
	default:
		if !push {
			return nil
		}
	}
	if s.skip--; s.skip >= 0 {
		return nil
	}
	if s.moment == onWire {
		k.lost[order] = true
	}
	k.shot = nil
	return s
}
