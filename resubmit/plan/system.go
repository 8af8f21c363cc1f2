package plan

import (
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// ErrSystemMismatch means that a plan was made for another system than the one that it
// was to be used with, or that one of the two names no system. Nothing was sent. The id of
// an order has a meaning in its own system only.
var ErrSystemMismatch = errors.New("the plan is for another system")

// CheckSystem returns an error if the plan must not be used with a system. "" is a system
// without a name.
func (p *Plan) CheckSystem(system string) error {
	made := p.header.System
	switch {
	case made == system:
		return nil
	case made == "":
		return fmt.Errorf("resubmit: %w: it names no system, as plans of older versions do not, and this is %s; make a "+
			"new plan",
			ErrSystemMismatch, system)
	default:
		return fmt.Errorf("resubmit: %w: it was made for %s, and this is %s; use the clients of that system, or make a "+
			"new plan",
			ErrSystemMismatch, text.Short(made), system)
	}
}
