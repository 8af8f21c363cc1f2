package console

import (
	"errors"
	"net/http"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// visit is one request of a user who may make it.
type visit struct {
	w        http.ResponseWriter
	r        *http.Request
	site     *site
	user     string
	role     Role        // that the request needs
	token    string      // of the session, in each form; "" without sessions
	signedIn func() bool // reports whether the session has not ended
}

// by describes the user for audit logs.
func (v *visit) by() string {
	return text.Short(v.user) + " (" + string(v.role) + ") from " + text.Short(v.r.RemoteAddr)
}

// field returns a field of the form or of the query.
func (v *visit) field(name string) string { return v.r.Form.Get(name) }

// int returns a number of the form or of the query, or the default if it is not there.
func (v *visit) int(name string, otherwise int) (int, error) {
	s := v.field(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := number.Atoi(s)
	if err != nil {
		return 0, wrongField(name, "%s is %q; give a number", name, text.Short(s))
	}
	return n, nil
}

// denied returns why the user may not do something; "" if the user may.
func (v *visit) denied(role Role, name string, run *state.Run) string {
	if _, err := v.site.cfg.Authorize(v.r, Action{Role: role, Name: name, Run: run}); err != nil {
		return shown(err.Error())
	}
	return ""
}

// allowBegin returns an error if an action could begin a plan, and the user may not approve one: a plan within the
// limits needs no approval.
func (v *visit) allowBegin(name string, run *state.Run) error {
	if !run.StartedAt.IsZero() {
		return nil
	}
	if why := v.denied(Approve, name, run); why != "" {
		return forbidden(errors.New("this begins the plan: " + why))
	}
	return nil
}

// see answers a POST: the browser gets a page, which it can reload. page is relative, because the console does not know
// where it is mounted.
func (v *visit) see(page string) error {
	v.w.Header().Set("Location", page)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}
