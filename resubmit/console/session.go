package console

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

// How long the link and the session of a standalone console are valid.
const (
	linkTime    = 5 * time.Minute
	sessionTime = 12 * time.Hour
)

var errSignedOut = &problem{
	status: http.StatusUnauthorized,
	text:   "You are not signed in, or the session has ended. Start the console again, and open the link that it prints.",
}

// session is the only session of a standalone console. It ends with the process.
type session struct {
	cookie string // the name of the cookie
	path   string // of all pages, such as "/secret/"; no other server on this machine gets the cookie, for none knows it

	mu    sync.Mutex
	link  string // opens the session once; "" after that
	until time.Time
	id    string // the value of the cookie; "" before the link was opened
	form  string // in every form
	ends  time.Time
}

func newSession(cookie string) *session {
	s := &session{cookie: cookie, path: "/" + secret() + "/"}
	s.link, s.until = secret(), time.Now().Add(linkTime)
	return s
}

// secret returns 256 random bits.
func secret() string { return rand.Text() + rand.Text() }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// login exchanges the link for the cookie of the session, and leads to the pages, whose address has no token.
func (s *session) login(w http.ResponseWriter, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == "" || !same(token, s.link) || time.Now().After(s.until) {
		return &problem{
			status: http.StatusUnauthorized,
			text: "This link was used, or is older than five minutes. Start the console again, and open the link that it " +
				"prints.",
		}
	}
	s.link, s.id, s.form, s.ends = "", secret(), secret(), time.Now().Add(sessionTime)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: a console on a loopback address has no https
		Name: s.cookie, Value: s.id, Path: s.path, MaxAge: int(sessionTime.Seconds()), HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Location", s.path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// valid reports whether a request has the cookie of the session.
func (s *session) valid(r *http.Request) bool {
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id != "" && same(c.Value, s.id) && time.Now().Before(s.ends)
}

// token returns the secret of the forms.
func (s *session) token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.form
}
