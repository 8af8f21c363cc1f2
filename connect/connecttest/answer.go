package connecttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody limits the body of a request, in bytes.
const maxBody = 1 << 20

// gatewayPage is the answer of the gateway in front of Connect, with the status twice.
const gatewayPage = "<html>\r\n<head><title>%[1]s</title></head>\r\n<body>\r\n" +
	"<center><h1>%[1]s</h1></center>\r\n</body>\r\n</html>\r\n"

// call is an HTTP call that is handled with the System locked.
type call struct {
	*http.Request
	now  time.Time
	body []byte
}

// answer is the response to a call.
type answer struct {
	status       int
	contentRange string
	body         any
}

// problem is the body of an error response (connect/WIRE.md#5).
type problem struct {
	Code   string         `json:"error_code"`
	Errors []string       `json:"errors"`
	Params map[string]any `json:"params,omitempty"`
}

func good(body any) answer { return answer{status: http.StatusOK, body: body} }

func refuse(status int, code, format string, args ...any) answer {
	return answer{status: status, body: problem{Code: code, Errors: []string{fmt.Sprintf(format, args...)}}}
}

func invalid(format string, args ...any) answer {
	return refuse(http.StatusBadRequest, "VAL_001", format, args...)
}

// wrongState is REQ_001; its status 400 is inferred.
func wrongState(format string, args ...any) answer {
	return refuse(http.StatusBadRequest, "REQ_001", format, args...)
}

func unauthorized() answer {
	return refuse(http.StatusUnauthorized, "AUTH_001", "API request is unauthorized.")
}

// notFound has an inferred code: only the status is published.
func notFound() answer { return refuse(http.StatusNotFound, "VAL_001", "Object not found.") }

// access is who may make a call.
type access int

const (
	withKey access = iota
	anyone
)

// handle returns an HTTP handler that calls f with the System locked, after the events
// that are due.
func (s *System) handle(who access, f func(call) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		a, up := s.locked(who, f, r, body, err)
		if !up {
			gateway(w, http.StatusBadGateway)
			return
		}
		s.write(w, a)
	})
}

func (s *System) locked(who access, f func(call) answer, r *http.Request, body []byte, bodyErr error,
) (a answer, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maintenance {
		return answer{}, false
	}
	now := s.now()
	s.process(now)
	switch {
	case who == withKey && !s.authorized(r):
		return unauthorized(), true
	case !s.permits(r.URL.Path):
		// The code is inferred: only the status is published.
		return refuse(http.StatusForbidden, "AUTH_003", "You do not have permission to perform this action."), true
	case bodyErr != nil:
		return invalid("The body could not be read: %v.", bodyErr), true
	default:
		return f(call{Request: r, now: now, body: body}), true
	}
}

func (s *System) authorized(r *http.Request) bool {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "ApiKey ")
	return ok && key == s.cfg.Key
}

func (s *System) write(w http.ResponseWriter, a answer) {
	w.Header().Set("Connect-Version", s.cfg.Version)
	w.Header().Set("Content-Type", "application/json")
	if a.contentRange != "" {
		w.Header().Set("Content-Range", a.contentRange)
	}
	w.WriteHeader(a.status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(a.body) // the client may have gone
}

// faultAnswer answers as Connect does, or as the gateway in front of it.
func (s *System) faultAnswer(w http.ResponseWriter, _ *http.Request, status int) {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		gateway(w, status)
	case http.StatusUnauthorized:
		s.write(w, unauthorized())
	default:
		s.write(w, refuse(status, "SYS_000", "%s.", http.StatusText(status)))
	}
}

func gateway(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	_, _ = fmt.Fprintf(w, gatewayPage, text) // the client may have gone
}
