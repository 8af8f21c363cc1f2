package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// row is an order or a request as a system writes it; nil is null.
type row map[string]json.RawMessage

// malformRows rewrites the malformed and unattributed rows of an answer.
func (w *world) malformRows(p *process, c *call, ans *answer) *answer {
	if ans.status != http.StatusOK && ans.status != http.StatusPartialContent || c.kind == callPush ||
		p.number >= faultyProcesses {
		return ans
	}
	var spoil func(row) row
	switch {
	case c.connect && c.kind == callLookUp && len(w.s.unattributed) > 0:
		spoil = w.malformRequest
	case !c.connect && w.s.api != apiBilling && len(w.s.malformed) > 0 && (c.kind == callList || c.kind == callRead):
		spoil = func(r row) row { return w.malformOrder(c, r) }
	default:
		return ans
	}
	body, err := rewrite(ans.body, spoil)
	if err != nil {
		w.checker.violate("world", c.order, "the answer to a %s cannot be rewritten: %v", c, err)
		return ans
	}
	other := *ans
	other.body = body
	return &other
}

// rewrite changes the rows of a list, bare or in "data", or a single one.
func rewrite(body []byte, spoil func(row) row) ([]byte, error) {
	var rows []row
	if json.Unmarshal(body, &rows) == nil {
		for i := range rows {
			rows[i] = spoil(rows[i])
		}
		return json.Marshal(rows)
	}
	var object row
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, err
	}
	data, isList := object["data"]
	if !isList {
		return json.Marshal(spoil(object))
	}
	data, err := rewrite(data, spoil)
	if err != nil {
		return nil, err
	}
	object["data"] = data
	return json.Marshal(object)
}

// text is a property as text; "" if it is not a string.
func (r row) text(key string) (s string) {
	_ = json.Unmarshal(r[key], &s) // s stays empty
	return s
}

// malformOrder rewrites the row of an order.
func (w *world) malformOrder(c *call, r row) row {
	id := r.text("orderId") + r.text("id") // of Order Management, or Simple API
	for _, o := range w.s.malformed {
		if w.indexOf(id) != o.order || time.Since(w.start) < o.from {
			continue
		}
		w.count("malformed row: " + string(o.kind) + " (" + string(c.kind) + ")")
		r = r.malform(o.kind)
	}
	return r
}

// malform changes a property under its names in both APIs.
func (r row) malform(kind malformedKind) row {
	set := func(value string, keys ...string) {
		for _, key := range keys {
			if _, ok := r[key]; ok {
				r[key] = json.RawMessage(value)
			}
		}
	}
	date := func(layout string) {
		for _, key := range []string{"orderDate", "creationDate"} {
			for _, now := range []string{time.RFC3339, time.RFC1123} { // a row may be malformed twice
				if t, err := time.Parse(now, r.text(key)); err == nil {
					set(fmt.Sprintf("%q", t.Format(layout)), key)
					break
				}
			}
		}
	}
	amount := func(value string) {
		set(`{"code":"USD","currency":"USD","value":`+value+`,"amount":`+value+`}`, "total")
	}
	switch kind {
	case malformedDateNumber:
		set("1793527200", "orderDate", "creationDate")
	case malformedDateText:
		date(time.RFC1123)
	case malformedDateShort:
		date("2006-01-02T15:04Z07:00")
	case malformedDateFar:
		set(`"10000-01-01T00:00:00Z"`, "orderDate", "creationDate")
	case malformedAmountPower:
		amount("1e70")
	case malformedAmountDigits:
		amount(strings.Repeat("7", 100))
	case malformedReasonList:
		set("[]", "errorDetails")
	case malformedReasonLong:
		r.lengthenReason()
	case malformedIDBlank:
		set(`""`, "orderId", "id")
	case malformedStatusMissing:
		delete(r, "status")
		delete(r, "statusCode")
	case malformedRowNull:
		return nil
	}
	return r
}

// lengthenReason keeps the start of the reason.
func (r row) lengthenReason() {
	var reasons map[string]string
	if json.Unmarshal(r["errorDetails"], &reasons) != nil {
		return
	}
	for locale, text := range reasons {
		reasons[locale] = text + strings.Repeat(" at com.example.Service", 4000)
	}
	r["errorDetails"], _ = json.Marshal(reasons) // strings can be marshaled
}

// malformRequest rewrites the row of a request.
func (w *world) malformRequest(r row) row {
	var asset struct {
		ExternalUID string `json:"external_uid"`
	}
	_ = json.Unmarshal(r["asset"], &asset) // it may be gone already
	for _, h := range w.s.unattributed {
		if time.Since(w.start) < h.from {
			continue
		}
		for i := range w.s.orders {
			tenant, kind := w.s.orders[i].requestKey()
			if w.s.orders[i].index != h.order || tenant != asset.ExternalUID || string(kind) != r.text("type") {
				continue
			}
			w.count("request " + string(h.kind))
			r = r.unattribute(h.kind)
		}
	}
	return r
}

func (r row) unattribute(kind unattributedKind) row {
	if r == nil {
		return nil
	}
	switch kind {
	case unattributedAsset:
		delete(r, "asset")
	case unattributedType:
		delete(r, "type")
	case unattributedStatus:
		r["status"] = json.RawMessage(`"archived"`)
	case unattributedRow:
		return nil
	}
	return r
}
