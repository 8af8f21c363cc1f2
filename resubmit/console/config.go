package console

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// Role is what a user may do.
type Role string

// The roles.
const (
	// View sees all pages and downloads.
	View Role = "view"
	// Control reads and plans, and pauses, resumes, limits, drains, cancels and continues runs.
	Control Role = "control"
	// Approve approves plans, and settles unknown orders.
	Approve Role = "approve"
)

// Roles returns all roles.
func Roles() []Role { return []Role{View, Control, Approve} }

// Action is what a user wants to do.
type Action struct {
	Role Role
	// Name is the name of the action, such as "approve"; "view" for pages.
	Name string
	// Run is the run that it is about; nil if it is about none. Run.PlannedBy names who made the plan, so that a host can
	// require that somebody else approves it.
	Run *state.Run
}

// Config configures a [Console]. State and Authorize are required.
type Config struct {
	// State is the state directory that the console shows.
	State *state.Dir
	// Authorize returns the name of the user of a request, or an error if the user may not do what the action says. The
	// user sees the text of the error beside what is not allowed. Pages ask it about all roles, to say what is possible.
	// It must be safe for concurrent use.
	Authorize func(r *http.Request, a Action) (user string, err error)
	// Hosts are the values of the Host header, such as "billing.example.net", that are accepted: others may belong to a
	// page that was rebound to this server by its domain. Empty: all are accepted, so the host must check them.
	Hosts []string
	// TrustedOrigins are the origins, such as "https://billing.example.net", whose forms are accepted although they differ
	// from the Host header, because a proxy rewrites it.
	TrustedOrigins []string
	// Apply applies the plan that was approved: usually it calls [state.Dir.Once] with Continue. It is called in the
	// background, one call at a time, and its context ends with [Console.Close]. Nil: another process applies it.
	Apply func(ctx context.Context) error
	// ApprovalKey signs approvals, see [state.Dir.Approve].
	ApprovalKey ed25519.PrivateKey
	// Location is the time zone of the pages. Nil: that of the state directory, or UTC.
	Location *time.Location
	// Logger logs errors with the ids that users see. Nil: nothing is logged.
	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	switch {
	case c.State == nil:
		return errors.New("console: Config.State is nil; open the state directory with state.Open")
	case c.Authorize == nil:
		return errors.New("console: Config.Authorize is nil; return the user of the request, or an error")
	}
	if c.Location == nil {
		c.Location = cmp.Or(c.State.Config().Location, time.UTC)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
