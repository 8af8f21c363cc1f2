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

// spoilRows rewrites the rows of an answer that the scenario says are odd.
func (w *world) spoilRows(p *process, c *call, ans *answerKept) *answerKept {
	if ans.status != http.StatusOK && ans.status != http.StatusPartialContent || c.kind == callPush ||
		p.life >= mostLives {
		return ans
	}
	var spoil func(row) row
	switch {
	case c.connect && c.kind == callLookUp && len(w.s.hidden) > 0:
		spoil = w.hide
	case !c.connect && w.s.way != byBilling && len(w.s.odd) > 0 && (c.kind == callList || c.kind == callRead):
		spoil = func(r row) row { return w.distort(c, r) }
	default:
		return ans
	}
	body, err := rewrite(ans.body, spoil)
	if err != nil {
		w.book.violate("world", c.order, "the answer to a %s cannot be rewritten: %v", c, err)
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

// text is a property as text; "" when it is none.
func (r row) text(key string) (s string) {
	_ = json.Unmarshal(r[key], &s) // what is no text is not the text that is looked for
	return s
}

// distort writes the row of an order as Commerce does in this world.
func (w *world) distort(c *call, r row) row {
	id := r.text("orderId") + r.text("id") // of Order Management, or Simple API
	for _, o := range w.s.odd {
		if w.index(id) != o.order || time.Since(w.start) < o.from {
			continue
		}
		w.happened("odd row: " + string(o.kind) + " (" + string(c.kind) + ")")
		r = r.odd(o.kind)
	}
	return r
}

// odd changes what both APIs have, by either name.
func (r row) odd(kind oddKind) row {
	set := func(value string, keys ...string) {
		for _, key := range keys {
			if _, ok := r[key]; ok {
				r[key] = json.RawMessage(value)
			}
		}
	}
	date := func(layout string) {
		for _, key := range []string{"orderDate", "creationDate"} {
			if t, err := time.Parse(time.RFC3339, r.text(key)); err == nil {
				set(fmt.Sprintf("%q", t.Format(layout)), key)
			}
		}
	}
	amount := func(value string) {
		set(`{"code":"USD","currency":"USD","value":`+value+`,"amount":`+value+`}`, "total")
	}
	switch kind {
	case oddDateNumber:
		set("1793527200", "orderDate", "creationDate")
	case oddDateText:
		date(time.RFC1123)
	case oddDateShort:
		date("2006-01-02T15:04Z07:00")
	case oddDateFar:
		set(`"10000-01-01T00:00:00Z"`, "orderDate", "creationDate")
	case oddAmountPower:
		amount("1e70")
	case oddAmountDigits:
		amount(strings.Repeat("7", 100))
	case oddReasonList:
		set("[]", "errorDetails")
	case oddReasonLong:
		r.lengthenReason()
	case oddIDBlank:
		set(`""`, "orderId", "id")
	case oddStatusMissing:
		delete(r, "status")
		delete(r, "statusCode")
	case oddRowNull:
		return nil
	}
	return r
}

// lengthenReason keeps how the reason begins.
func (r row) lengthenReason() {
	var reasons map[string]string
	if json.Unmarshal(r["errorDetails"], &reasons) != nil {
		return
	}
	for locale, text := range reasons {
		reasons[locale] = text + strings.Repeat(" at com.example.Service", 4000)
	}
	r["errorDetails"], _ = json.Marshal(reasons) // texts can be written
}

// hide writes a request as Connect does in this world.
func (w *world) hide(r row) row {
	var asset struct {
		ExternalUID string `json:"external_uid"`
	}
	_ = json.Unmarshal(r["asset"], &asset) // one that was hidden before
	for _, h := range w.s.hidden {
		if time.Since(w.start) < h.from {
			continue
		}
		for i := range w.s.orders {
			tenant, kind := w.s.orders[i].requestKey()
			if w.s.orders[i].index != h.order || tenant != asset.ExternalUID || string(kind) != r.text("type") {
				continue
			}
			w.happened("request " + string(h.kind))
			r = r.hidden(h.kind)
		}
	}
	return r
}

func (r row) hidden(kind hiddenKind) row {
	if r == nil {
		return nil
	}
	switch kind {
	case hiddenAsset:
		delete(r, "asset")
	case hiddenType:
		delete(r, "type")
	case hiddenStatus:
		r["status"] = json.RawMessage(`"archived"`)
	case hiddenRow:
		return nil
	}
	return r
}
