package faults

import (
	"maps"
	"net/http"
	"strconv"
)

// recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

// record runs a handler and keeps its answer.
func record(h http.Handler, r *http.Request) *recorder {
	rec := &recorder{header: http.Header{}}
	h.ServeHTTP(rec, r)
	rec.WriteHeader(http.StatusOK)
	return rec
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status = status
	}
}

func (rec *recorder) Write(p []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	rec.body = append(rec.body, p...)
	return len(p), nil
}

// replay sends the first n bytes of the body but announces all of them: net/http
// then closes the connection, and the client sees an unexpected end.
func (rec *recorder) replay(w http.ResponseWriter, n int) {
	maps.Copy(w.Header(), rec.header)
	if len(rec.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(rec.body)))
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body[:n]) // a client that has gone is no concern here
}
