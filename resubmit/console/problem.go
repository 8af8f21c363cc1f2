package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// problem is an error that a user can understand.
type problem struct {
	status int
	text   string
	field  string // the id of the field of the form that is wrong; "" for none
}

func (p *problem) Error() string { return p.text }

// Code, Message and Field are for the templates.
func (p *problem) Code() int       { return p.status }
func (p *problem) Message() string { return shown(p.text) }
func (p *problem) Field() string   { return p.field }

func badRequest(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

// wrongField is a mistake in a field of a form.
func wrongField(field, format string, args ...any) error {
	return &problem{status: http.StatusUnprocessableEntity, text: fmt.Sprintf(format, args...), field: field}
}

func conflict(format string, args ...any) error {
	return &problem{status: http.StatusConflict, text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &problem{status: http.StatusNotFound, text: fmt.Sprintf(format, args...)}
}

func forbidden(err error) error {
	return &problem{status: http.StatusForbidden, text: text.Sentence(err.Error())}
}

// problemOf returns the problem that an error of an action means for a user; nil if it is a fault that only the log may
// have.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[*state.LockedError](err); ok || errors.Is(err, state.ErrNoRun) ||
		errors.Is(err, state.ErrUnfinished) || errors.Is(err, state.ErrChanged) || errors.Is(err, errBusy) ||
		errors.Is(err, plan.ErrUnsigned) || errors.Is(err, protocol.ErrUnresolvable) {
		return &problem{status: http.StatusConflict, text: text.Sentence(strings.TrimPrefix(err.Error(), "state: "))}
	}
	return nil
}
