// Package console is the web console of a state directory: what failed and why, plans and their approval, the run with
// its controls, the history of each order, and reports. It is an [http.Handler] to mount in a service that knows its
// users:
//
//	recovery, err := console.New(console.Config{
//		State:     dir, // a *state.Dir
//		Authorize: func(r *http.Request, a console.Action) (string, error) { return users.May(r, a.Role) },
//		Hosts:     []string{"billing.example.net"},
//		Apply: func(ctx context.Context) error {
//			_, err := dir.Once(ctx, state.OnceOptions{Continue: true})
//			return err
//		},
//	})
//	if err != nil {
//		return err
//	}
//	defer recovery.Close()
//	mux.Handle("/ops/recovery/", http.StripPrefix("/ops/recovery", recovery))
//
// Without such a service, [Listen] serves it on this machine for the person who started it.
//
// Pages show the state directory: no page calls Commerce or Connect. The failed orders are those that were read last,
// and reading them again is an action. Another process may apply plans, and be controlled from here.
//
// The CSV file of a plan has what is to be done with each order and why; that of its report has the outcomes too.
//
// # Security
//
// Every page and action asks Config.Authorize, with one of three roles. Every change is a POST that has the digest of
// what was shown: if that is out of date, the answer is 409 and nothing is done. Requests that other sites cause are
// rejected ([http.CrossOriginProtection]), and so are hosts that are not in Config.Hosts, because a name that is
// pointed at this server would pass as its own site. Behind a proxy that rewrites the Host header, set
// Config.TrustedOrigins. The pages need no scripts: one small file updates them live. The content security policy
// allows nothing else. HTTPS, sign-in and HSTS are the host's.
//
// A standalone console prints a link with a secret that opens it once, within five minutes. The browser then gets a
// cookie. Browsers send cookies of 127.0.0.1 to all its ports, and so to servers of other users of the machine: all
// pages are below a secret path, the cookie is sent for that path only, and each form has another secret.
//
// # Errors and concurrency
//
// Errors of New and Listen are one line: what is wrong, and what to do. Users see the text of errors that they can
// solve; other errors are logged with an id that the page shows. All methods are safe for concurrent use.
package console
