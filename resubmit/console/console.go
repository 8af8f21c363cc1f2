package console

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Console is the console as an [http.Handler]. Create it with [New], and mount it with [http.StripPrefix] anywhere. It
// is safe for concurrent use.
type Console struct {
	site    *site
	guard   *guard
	mux     *http.ServeMux
	session *session // of a standalone console; nil otherwise
	closing sync.Once
}

// New returns a console. Close it when the server ends.
func New(cfg Config) (*Console, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	g, err := newGuard(&cfg)
	if err != nil {
		return nil, err
	}
	templates, err := parseTemplates(cfg.Location)
	if err != nil {
		return nil, err
	}
	c := &Console{site: newSite(cfg, templates), guard: g, mux: http.NewServeMux()}
	for _, r := range routes(new(streams)) {
		c.mux.Handle(r.pattern, page(r))
	}
	c.mux.Handle("GET "+staticPath, static())
	return c, nil
}

// page is a route in the mux. It is served by [Console.visit].
type page route

func (page) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Close ends the work in the background, and waits for it. Event streams end.
func (c *Console) Close() {
	c.closing.Do(func() {
		c.site.tasks.close()
		c.site.plans.close()
	})
}

// maxBody is the largest form in bytes.
const maxBody = 64 << 10

// ServeHTTP serves a page or an action.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := callback.Do(func() error { return c.serve(w, r) })
	switch {
	case errors.Is(err, errIncomplete):
		c.site.cfg.Logger.Error("console", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) //nolint:forbidigo // the documented way to break the connection
	case err != nil:
		c.fail(w, r, err)
	}
}

func (c *Console) serve(w http.ResponseWriter, r *http.Request) error {
	if err := c.guard.admit(w, r); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if c.session != nil && !strings.HasPrefix(r.URL.Path, staticPath) && !c.session.valid(r) {
		return errSignedOut
	}
	handler, pattern := c.mux.Handler(r)
	serve, ok := handler.(page)
	if !ok || pattern == "" {
		handler.ServeHTTP(w, r)
		return nil
	}
	return c.visit(w, r, (*route)(&serve))
}

// visit checks what a route needs, and serves it.
func (c *Console) visit(w http.ResponseWriter, r *http.Request, to *route) error {
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return &problem{status: http.StatusRequestEntityTooLarge, text: "the form is too large"}
		}
		return badRequest("the form cannot be read")
	}
	user, err := c.site.cfg.Authorize(r, Action{Role: to.role, Name: to.name})
	if err != nil {
		return forbidden(err)
	}
	v := &visit{w: w, r: r, site: c.site, user: shown(user), role: to.role}
	v.signedIn = func() bool { return c.session == nil || c.session.valid(r) }
	if c.session != nil {
		v.token = c.session.token()
		if to.changes() && !same(r.PostForm.Get("token"), v.token) {
			return &problem{status: http.StatusForbidden, text: "the form is not of this session; open the page again and " +
				"repeat the action there. Nothing was done"}
		}
	}
	return to.serve(v)
}

// fail shows an error. Faults are logged with an id, which the user sees.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p == nil {
		id := rand.Text()[:10]
		c.site.cfg.Logger.Error("console", "id", id, "path", text.Short(r.URL.Path), "error", err)
		p = &problem{
			status: http.StatusInternalServerError,
			text:   "This did not work. The log of the console has the reason, with the id " + id + ".",
		}
	}
	var body bytes.Buffer
	h := head{Title: http.StatusText(p.status), Problem: p, System: c.site.system}
	if err := c.site.templates["problem"].ExecuteTemplate(&body, "layout", h); err != nil {
		body.WriteString(p.text)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.status)
	_, _ = body.WriteTo(w) // an error means that the browser is gone
}
