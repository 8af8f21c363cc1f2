package console

import (
	"net/http"
	"strings"
)

// route is a page or an action.
type route struct {
	pattern string
	role    Role   // that it needs
	name    string // of the action, see Action.Name
	serve   func(*visit) error
}

// routes returns all pages and actions. Nothing is changed by a GET.
func routes(s *streams) []route {
	return []route{
		{"GET /{$}", View, "view", overviewPage},
		{"GET /orders", View, "view", ordersPage},
		{"GET /orders.csv", View, "view", ordersCSV},
		{"GET /plan", View, "view", planPage},
		{"GET /plan.csv", View, "view", planCSV},
		{"GET /changes", View, "view", changesPage},
		{"GET /approve", View, "view", approvePage},
		{"GET /run", View, "view", runPage},
		{"GET /confirm", View, "view", confirmPage},
		{"GET /task", View, "view", taskPage},
		{"GET /events", View, "view", s.events},
		{"GET /order", View, "view", orderPage},
		{"GET /history", View, "view", historyPage},
		{"GET /history.csv", View, "view", historyCSV},
		{"GET /report", View, "view", reportFilePage},
		{"POST /read", Control, "read", readAgain},
		{"POST /plan", Control, "plan", makePlan},
		{"POST /override", Control, "override", override},
		{"POST /discard", Control, "discard", discard},
		{"POST /control", Control, "control", control},
		{"POST /continue", Control, "continue", proceed},
		{"POST /approve", Approve, "approve", approve},
		{"POST /revoke", Approve, "revoke", revoke},
		{"POST /resolve", Approve, "resolve", resolve},
		{"/", View, "view", noPage},
	}
}

// changes reports whether a route changes something.
func (r *route) changes() bool { return strings.HasPrefix(r.pattern, http.MethodPost) }

func noPage(*visit) error {
	return notFound("there is no such page, or it is only for forms; begin at Overview")
}
