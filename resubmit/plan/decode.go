package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// decoder decodes what AppendJSON writes: exactly the same fields in the same order. It interns texts and amounts that
// many entries share.
type decoder struct {
	line    string
	pos     int
	err     error
	shared  bool // the entry may refer to the line
	texts   map[string]interned
	amounts map[string]decimal.Decimal
	// Most texts are the same as at this place in the last entry, which is faster to check than to find their end.
	last  [32]interned
	place int
}

// interned is a text that many entries have.
type interned struct {
	raw  string // between the quotes
	text string
}

// decode decodes a line, without its end, into e. The entry does not refer to the line afterwards.
func (d *decoder) decode(line string, e *Entry) error {
	d.shared = false
	*e = Entry{}
	err := d.fields(line, e)
	e.detach()
	return err
}

// detach copies the texts that refer to the line into one new string.
func (e *Entry) detach() {
	texts := make([]*string, 0, 8)
	texts = append(texts, &e.OrderID, &e.Number, &e.Customer, &e.CustomerID, &e.TenantID, &e.Fingerprint)
	for i := range e.Subscriptions {
		texts = append(texts, &e.Subscriptions[i])
	}
	size := 0
	for _, text := range texts {
		size += len(*text)
	}
	var all strings.Builder
	all.Grow(size)
	for _, text := range texts {
		all.WriteString(*text)
	}
	rest := all.String()
	for _, text := range texts {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
}

// decodeShared decodes a line into e without copying: the texts of e refer to the line, and its lists are overwritten
// by the next call with the same e.
func (d *decoder) decodeShared(line string, e *Entry) error {
	d.shared = true
	*e = Entry{
		Subscriptions: e.Subscriptions[:0],
		Attribution:   failure.Attribution{Evidence: e.Attribution.Evidence[:0]},
	}
	return d.fields(line, e)
}

func (d *decoder) fields(line string, e *Entry) error {
	d.line, d.pos, d.err, d.place = line, 0, nil, 0
	d.want(`{"id":`)
	e.OrderID = d.text()
	d.want(`,"number":`)
	e.Number = d.text()
	d.want(`,"type":`)
	e.Type = commerce.OrderType(d.interned())
	if d.has(`,"vendor":`) {
		e.VendorAccountID = d.interned()
	}
	if d.has(`,"channel":`) {
		e.Channel = commerce.Channel(d.interned())
	}
	if d.has(`,"customer":`) {
		e.Customer = d.text()
	}
	if d.has(`,"customerId":`) {
		e.CustomerID = d.text()
	}
	if d.has(`,"subscriptions":[`) {
		e.Subscriptions = append(e.Subscriptions, d.text())
		for d.has(",") {
			e.Subscriptions = append(e.Subscriptions, d.text())
		}
		d.want("]")
	}
	if d.has(`,"tenant":`) {
		e.TenantID = d.text()
	}
	if d.has(`,"total":{"amount":`) {
		e.Total.Amount = d.amount()
		d.want(`,"currency":`)
		e.Total.Currency = d.interned()
		d.want("}")
	}
	d.snapshot(&e.Before)
	d.want(`,"fingerprint":`)
	e.Fingerprint = d.text()
	d.attribution(&e.Attribution)
	d.decision(e)
	d.want("}")
	if d.err == nil && d.pos != len(line) {
		d.fail("the line should end here")
	}
	return d.err
}

func (d *decoder) snapshot(s *Snapshot) {
	d.want(`,"before":{"status":`)
	s.Status = commerce.Status(d.interned())
	if d.has(`,"provisioningStatus":`) {
		s.ProvisioningStatus = commerce.ProvisioningStatus(d.interned())
	}
	if d.has(`,"reason":`) {
		s.Message = d.interned()
	}
	if d.has(`,"placedAt":`) {
		s.PlacedAt = d.time()
	}
	if d.has(`,"failedAt":`) {
		s.FailedAt = d.time()
	}
	d.want("}")
}

func (d *decoder) attribution(a *failure.Attribution) {
	d.want(`,"attribution":{"verdict":`)
	a.Verdict = failure.Verdict(d.interned())
	d.want(`,"class":`)
	a.Class = failure.Class(d.interned())
	if d.has(`,"window":`) {
		a.WindowID = d.interned()
	}
	if d.has(`,"evidence":[`) {
		if a.Evidence == nil {
			a.Evidence = make([]failure.Evidence, 0, 4)
		}
		a.Evidence = append(a.Evidence, d.evidence())
		for d.has(",") {
			a.Evidence = append(a.Evidence, d.evidence())
		}
		d.want("]")
	}
	d.want("}")
}

func (d *decoder) evidence() (ev failure.Evidence) {
	d.want(`{"kind":`)
	ev.Kind = d.interned()
	d.want(`,"text":`)
	ev.Text = d.interned()
	if d.has(`,"ref":`) {
		ev.Ref = d.interned()
	}
	if d.has(`,"at":`) {
		ev.At = d.time()
	}
	d.want("}")
	return ev
}

func (d *decoder) decision(e *Entry) {
	d.want(`,"decision":{"action":`)
	e.Decision.Action = rules.Action(d.interned())
	d.want(`,"rule":`)
	e.Decision.RuleID = d.interned()
	d.want(`,"why":`)
	e.Decision.Why = d.interned()
	e.Decision.Flagged = d.has(`,"flagged":true`)
	d.want("}")
	if d.has(`,"target":`) {
		e.Target = commerce.Status(d.interned())
	}
	if d.has(`,"version":`) {
		e.Version = d.number()
	}
	e.Named = d.has(`,"named":true`)
	if d.has(`,"due":`) {
		e.Due = d.time()
	}
}

// has skips s if it is next. After an error it returns false, so that every loop ends.
func (d *decoder) has(s string) bool {
	if d.err != nil || !strings.HasPrefix(d.line[d.pos:], s) {
		return false
	}
	d.pos += len(s)
	return true
}

func (d *decoder) want(s string) {
	if d.err == nil && !d.has(s) {
		d.fail("want " + s)
	}
}

func (d *decoder) fail(problem string) {
	if d.err == nil {
		rest := d.line[d.pos:min(len(d.line), d.pos+40)]
		d.err = fmt.Errorf("byte %d: %s, found %q", d.pos+1, problem, rest)
	}
}

// raw reads a string and returns the text between its quotes, and whether it is plain, see text.IsPlain.
func (d *decoder) raw() (raw string, plain bool) {
	d.want(`"`)
	if d.err != nil {
		return "", false
	}
	rest := d.line[d.pos:]
	if n := strings.IndexByte(rest, '"'); n >= 0 && text.IsPlain(rest[:n]) {
		d.pos += n + 1
		return rest[:n], true
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			d.pos += i + 1
			return rest[:i], false
		case c == '\\':
			i++
		case c < ' ':
			d.pos += i
			d.fail("a control character inside a string")
			return "", false
		}
	}
	d.fail("the string does not end")
	return "", false
}

// text reads a text. It refers to the line if it has no escapes.
func (d *decoder) text() string { return d.valid(d.raw()) }

// interned reads a text that other entries probably have too.
func (d *decoder) interned() string {
	const limit = 4096 // texts, and bytes of one
	last := &d.last[d.place%len(d.last)]
	d.place++
	if d.hasString(last.raw) {
		return last.text
	}
	raw, plain := d.raw()
	if known, ok := d.texts[raw]; ok {
		*last = known
		return known.text
	}
	text := d.valid(raw, plain)
	if d.texts == nil {
		d.texts = make(map[string]interned)
	}
	if len(d.texts) < limit && len(raw) <= limit && d.err == nil {
		known := interned{strings.Clone(raw), strings.Clone(text)}
		d.texts[known.raw] = known
		return known.text
	}
	if !d.shared {
		text = strings.Clone(text)
	}
	return text
}

// hasString skips a string if it is next. raw is what raw returned for it.
func (d *decoder) hasString(raw string) bool {
	rest := d.line[d.pos:]
	end := len(raw) + 1
	if d.err != nil || len(rest) <= end || rest[0] != '"' || rest[end] != '"' || rest[1:end] != raw {
		return false
	}
	d.pos += end + 1
	return true
}

// valid decodes and checks a raw string.
func (d *decoder) valid(raw string, plain bool) string {
	if d.err != nil || plain {
		return raw
	}
	s := raw
	if strings.Contains(raw, `\`) {
		quoted := d.line[d.pos-len(raw)-2 : d.pos]
		if err := json.Unmarshal([]byte(quoted), &s); err != nil {
			d.fail("the string before this has a bad escape")
		}
	}
	if !utf8.ValidString(raw) {
		d.fail("the string before this is not UTF-8")
	}
	return s
}

// number reads a positive number as AppendUint writes it.
func (d *decoder) number() uint64 {
	digits := d.line[d.pos:]
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := number.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '0' {
		d.fail("want a number from 1 to 2^64-1")
		return 0
	}
	d.pos += len(digits)
	return n
}

func (d *decoder) time() time.Time {
	raw, _ := d.raw()
	if d.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, raw)
	if err != nil || raw[len(raw)-1] != 'Z' {
		d.fail(fmt.Sprintf("%q is not a time like 2026-11-23T08:00:00Z", raw))
	}
	return t.UTC()
}

func (d *decoder) amount() decimal.Decimal {
	raw, _ := d.raw()
	if d.err != nil {
		return decimal.Decimal{}
	}
	if amount, ok := d.amounts[raw]; ok {
		return amount
	}
	amount, err := parseAmount(raw)
	if err != nil {
		d.fail(err.Error())
		return amount
	}
	if d.amounts == nil {
		d.amounts = make(map[string]decimal.Decimal)
	}
	if len(d.amounts) < 1024 {
		d.amounts[strings.Clone(raw)] = amount
	}
	return amount
}

// parseAmount parses an amount as amountText formats it, without an exponent.
func parseAmount(s string) (decimal.Decimal, error) {
	digits := strings.TrimPrefix(s, "-")
	if digits != "" && digits[0] >= '0' && digits[0] <= '9' && (len(s) > number.Most || !strings.ContainsAny(s, "eE")) {
		d, err := number.Decimal(s)
		if err != nil {
			err = fmt.Errorf("%q is not an amount like 12.5: %w", text.Short(s), err)
		}
		return d, err
	}
	return decimal.Decimal{}, fmt.Errorf("%q is not an amount like 12.5", text.Short(s))
}
