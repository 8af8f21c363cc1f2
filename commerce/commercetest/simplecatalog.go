package commercetest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
)

// simplePlan is the only plan.
const simplePlan = "1"

// simpleRow is an object of Simple API. Its properties are inferred from the names in the document
// (commerce/WIRE.md#3).
type simpleRow map[string]string

// serveCatalog serves the customers, subscriptions and plans that the orders of the caller refer to.
func (s *System) serveCatalog(api *http.ServeMux) {
	for path, rows := range map[string]func([]*Order) []simpleRow{
		"/customers": simpleCustomers, "/subscriptions": simpleSubscriptions, "/plans": simplePlans,
	} {
		api.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			orders, _ := s.simpleOrders("")
			s.simpleRows(w, r, rows(orders))
		})
		api.HandleFunc("GET "+path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
			orders, _ := s.simpleOrders("")
			all := rows(orders)
			i := slices.IndexFunc(all, func(row simpleRow) bool { return row["id"] == r.PathValue("id") })
			if i < 0 {
				simpleError(w, http.StatusBadRequest, "NotFound", noEntity)
				return
			}
			writeJSON(w, http.StatusOK, all[i])
		})
	}
}

func simpleCustomers(orders []*Order) []simpleRow {
	return distinctRows(orders, func(o *Order) simpleRow {
		return simpleRow{"id": o.Customer, "name": o.CustomerName, "status": "active"}
	})
}

func simpleSubscriptions(orders []*Order) []simpleRow {
	return distinctRows(orders, func(o *Order) simpleRow {
		return simpleRow{"id": o.Subscription, "customerId": o.Customer, "planId": simplePlan, "status": "active"}
	})
}

func simplePlans([]*Order) []simpleRow {
	return []simpleRow{{"id": simplePlan, "name": "Test plan"}}
}

// distinctRows returns one row for each id, in the order of placing.
func distinctRows(orders []*Order, rowOf func(*Order) simpleRow) []simpleRow {
	seen, rows := map[string]bool{"": true}, []simpleRow{}
	for _, o := range orders {
		if row := rowOf(o); !seen[row["id"]] {
			seen[row["id"]] = true
			rows = append(rows, row)
		}
	}
	return rows
}

// simpleRows answers a list. Besides offset and limit, every property of the rows is a filter.
func (s *System) simpleRows(w http.ResponseWriter, r *http.Request, rows []simpleRow) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := simpleQuery{limit: simpleLimit}
	for name, all := range values {
		switch {
		case err != nil:
		case name == "offset" || name == "limit":
			err = q.add(name, all[0])
		default:
			rows = slices.DeleteFunc(rows, func(row simpleRow) bool { return row[name] != all[0] })
		}
	}
	if err != nil {
		simpleError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	limit := min(q.limit, cmp.Or(s.cfg.MaxPageSize, q.limit))
	from := min(q.offset, len(rows))
	writeJSON(w, http.StatusOK, map[string]any{
		"data":       rows[from:min(len(rows), from+limit)],
		"pagination": map[string]int{"offset": q.offset, "limit": limit, "total": len(rows)},
	})
}
