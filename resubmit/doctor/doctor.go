package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// State is what a check found.
type State string

// The states, the best first.
const (
	OK      State = "ok"
	Note    State = "note"    // worth knowing
	Differs State = "differs" // from what the library expects; see Finding.Do
	Broken  State = "broken"  // the installation cannot be used like this
)

// Finding is the result of one check.
type Finding struct {
	System string `json:"system"` // "Commerce" or "Connect"
	Check  string `json:"check"`  // such as "sorting"
	State  State  `json:"state"`
	Text   string `json:"text"`           // what was found
	Fact   string `json:"fact,omitempty"` // where the documentation says what is expected, such as commerce/WIRE.md#5.4
	Do     string `json:"do,omitempty"`   // what to configure or to find out
}

// Config configures [Check]. All fields are required except Targets and Sample.
type Config struct {
	// Systems has the lister and the reader of Commerce, with Wire as their middleware and small pages, so that a sample
	// has several.
	Systems resubmit.Systems
	Wire    *Wire
	// Connect is the client for Connect, with ConnectWire as its middleware.
	Connect     *connect.Client
	ConnectWire *Wire
	// Targets are the statuses that resubmit an order, see resubmit.Policy. Default: protocol.DefaultTargets.
	Targets []commerce.Status
	// Sample is how many orders and requests are looked at. Default 50.
	Sample int
}

// Check checks an installation, with about thirty calls. A check that cannot be made because an earlier one failed is
// left out.
func Check(ctx context.Context, cfg Config) ([]Finding, error) {
	if cfg.Systems.Lister == nil || cfg.Systems.Reader == nil || cfg.Wire == nil || cfg.Connect == nil ||
		cfg.ConnectWire == nil {
		return nil, errors.New("doctor: Config needs Systems with Lister and Reader, Wire, Connect and ConnectWire")
	}
	cfg.Sample = cmp.Or(cfg.Sample, 50)
	if cfg.Targets == nil {
		cfg.Targets = protocol.DefaultTargets()
	}
	x := &examination{Config: cfg, system: "Commerce", facts: factsOf(cfg.Systems.Name)}
	subscriptions := x.commerce(ctx)
	x.system = "Connect"
	x.connect(ctx, subscriptions)
	if ctx.Err() != nil {
		return x.findings, fmt.Errorf("doctor: %w", context.Cause(ctx))
	}
	return x.findings, nil
}

// examination collects findings.
type examination struct {
	Config
	system   string
	facts    facts
	findings []Finding
}

// facts are the sections about an API of Commerce.
type facts struct{ access, list, fields string }

// factsOf returns the sections for the API that the name of the systems begins with.
func factsOf(name string) facts {
	switch api, _, _ := strings.Cut(name, " "); api {
	case "billing":
		return facts{"commerce/WIRE.md#1.2", "commerce/WIRE.md#0", "commerce/WIRE.md#1.4"}
	case "simpleapi":
		return facts{"commerce/WIRE.md#3", "commerce/WIRE.md#3", "commerce/WIRE.md#3"}
	default:
		return facts{"commerce/WIRE.md#2.2", "commerce/WIRE.md#2.5", "commerce/WIRE.md#2.4"}
	}
}

func (x *examination) add(check string, state State, fact, do, format string, args ...any) {
	x.findings = append(x.findings, Finding{
		System: x.system, Check: check, State: state, Fact: fact, Do: do, Text: text.OneLine(fmt.Sprintf(format, args...)),
	})
}

func (x *examination) ok(check, format string, args ...any) {
	x.add(check, OK, "", "", format, args...)
}

// refused says why a system cannot be used, by its last answer. login names the credentials.
func (x *examination) refused(w *Wire, url, login, fact string, err error) {
	answers := w.since(0)
	if len(answers) == 0 {
		x.add("address", Broken, "", "check "+url+", the network, proxies and certificates", "nothing answers: %v", err)
		return
	}
	switch last := answers[len(answers)-1]; {
	case last.status == 401:
		x.add("credentials", Broken, fact, "check "+login, "they are rejected: %v", err)
	case last.status == 403:
		x.add("permissions", Broken, fact, "give the user of "+login+" the permission to read", "reading is not allowed: %v",
			err)
	case last.html:
		x.add("address", Broken, fact, "check "+url, "an HTML page answers instead (status %d), such as that of another "+
			"web server, a sign-in or a proxy", last.status)
	case last.status == 200 && last.list && x.system == "Connect" && last.header.Get("Content-Range") == "":
		x.add("totals", Broken, "connect/WIRE.md#4", "find out what is between: without it no list can be read completely",
			"lists have no Content-Range: a proxy removes it, or it is not Connect")
	case last.status == 404:
		x.add("address", Broken, fact, "check "+url, "it is not at this address (status 404): %v", err)
	default:
		x.add("address", Broken, fact, "check "+url, "it cannot be read: %v", err)
	}
}

// maxAhead is how far clocks may differ: half of the default guard time (resubmit.Config.Guard).
const maxAhead = 150 * time.Second

// clock compares the clocks.
func (x *examination) clock(w *Wire) {
	ahead, known := w.ahead()
	how := "ahead"
	if ahead < 0 {
		how = "behind"
	}
	switch shown := ahead.Abs().Round(time.Second); {
	case !known:
		x.add("clock", Note, "", "compare the clocks by hand", "the answers have no Date")
	case ahead.Abs() > maxAhead:
		x.add("clock", Differs, "resubmit/SAFETY.md#i4", "set the clock of this machine (NTP): nothing is pushed while "+
			"the clocks differ by more than half of run.guard", "the clock of this machine is %v %s", shown, how)
	default:
		x.ok("clock", "the clocks differ by %v", shown)
	}
}
