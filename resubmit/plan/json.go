package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// Entries are written and read by hand, because a plan has a million of them and
// encoding/json takes several times as long as all the rest of planning. What is
// written is byte for byte what encoding/json writes with HTML escaping off, with two
// differences: an amount keeps its zeros, 12.50, as the system gave it, and runes that
// a terminal acts on or does not show are escaped.

// AppendJSON appends an entry as one JSON object, without a line end, as a plan file has it.
func (e *Entry) AppendJSON(b []byte) []byte {
	b = text.AppendJSON(append(b, `{"id":`...), e.OrderID)
	b = text.AppendJSON(append(b, `,"number":`...), e.Number)
	b = text.AppendJSON(append(b, `,"type":`...), string(e.Type))
	b = appendField(b, `,"vendor":`, e.VendorID)
	b = appendField(b, `,"channel":`, string(e.Channel))
	b = appendField(b, `,"customer":`, e.Customer)
	b = appendField(b, `,"customerId":`, e.CustomerID)
	if len(e.Subscriptions) > 0 {
		b = append(b, `,"subscriptions":`...)
		for i, id := range e.Subscriptions {
			b = text.AppendJSON(append(b, "[,"[min(i, 1)]), id)
		}
		b = append(b, ']')
	}
	b = appendField(b, `,"tenant":`, e.TenantID)
	if !e.Total.IsZero() {
		b = text.AppendJSON(append(b, `,"total":{"amount":`...), amountText(e.Total.Amount))
		b = text.AppendJSON(append(b, `,"currency":`...), e.Total.Currency)
		b = append(b, '}')
	}
	b = text.AppendJSON(append(b, `,"before":{"status":`...), string(e.Before.Status))
	b = appendField(b, `,"provisioningStatus":`, string(e.Before.ProvisioningStatus))
	b = appendField(b, `,"reason":`, e.Before.Reason)
	b = appendTime(b, `,"placedAt":"`, e.Before.PlacedAt)
	b = appendTime(b, `,"failedAt":"`, e.Before.FailedAt)
	b = text.AppendJSON(append(b, `},"fingerprint":`...), e.Fingerprint)
	b = appendAttribution(append(b, `,"attribution":`...), &e.Attribution)
	b = text.AppendJSON(append(b, `,"decision":{"action":`...), string(e.Decision.Action))
	b = text.AppendJSON(append(b, `,"rule":`...), e.Decision.RuleID)
	b = text.AppendJSON(append(b, `,"why":`...), e.Decision.Why)
	if e.Decision.Flagged {
		b = append(b, `,"flagged":true`...)
	}
	b = append(b, '}')
	b = appendField(b, `,"target":`, string(e.Target))
	return append(b, '}')
}

func appendAttribution(b []byte, a *failure.Attribution) []byte {
	b = text.AppendJSON(append(b, `{"verdict":`...), string(a.Verdict))
	b = text.AppendJSON(append(b, `,"class":`...), string(a.Class))
	b = appendField(b, `,"window":`, a.WindowID)
	if len(a.Evidence) > 0 {
		b = append(b, `,"evidence":`...)
		for i := range a.Evidence {
			ev := &a.Evidence[i]
			b = text.AppendJSON(append(append(b, "[,"[min(i, 1)]), `{"kind":`...), ev.Kind)
			b = text.AppendJSON(append(b, `,"text":`...), ev.Text)
			b = appendField(b, `,"ref":`, ev.Ref)
			b = append(appendTime(b, `,"at":"`, ev.At), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendField appends a key and its text unless the text is empty.
func appendField(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return text.AppendJSON(append(b, key...), s)
}

// appendTime appends a key, which ends in the opening quote, and an instant in UTC
// unless it is zero.
func appendTime(b []byte, key string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return append(t.UTC().AppendFormat(append(b, key...), time.RFC3339Nano), '"')
}

// entryReader reads what AppendJSON writes: the same fields in the same order,
// no others, nothing between them. It keeps texts and amounts that come again and
// again.
type entryReader struct {
	line    string
	plain   bool // the line has no escapes, and nothing but printable ASCII
	pos     int
	err     error
	borrow  bool // the entry is only looked at
	known   map[string]string
	amounts map[string]decimal.Decimal
}

// read reads one line, without its end, into e, which is the caller's.
func (r *entryReader) read(line string, e *Entry) error {
	r.borrow = false
	*e = Entry{}
	err := r.decode(line, e)
	e.part()
	return err
}

// part parts an entry from the line that it was read from: the texts that no other
// entry has become those of one string of their own.
func (e *Entry) part() {
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

// look reads one line into e for one look: the texts of e keep the line alive, and
// its lists are overwritten by the next one.
func (r *entryReader) look(line string, e *Entry) error {
	r.borrow = true
	*e = Entry{
		Subscriptions: e.Subscriptions[:0],
		Attribution:   failure.Attribution{Evidence: e.Attribution.Evidence[:0]},
	}
	return r.decode(line, e)
}

func (r *entryReader) decode(line string, e *Entry) error {
	r.line, r.plain, r.pos, r.err = line, isPlain(line), 0, nil
	r.want(`{"id":`)
	e.OrderID = r.text()
	r.want(`,"number":`)
	e.Number = r.text()
	r.want(`,"type":`)
	e.Type = commerce.OrderType(r.again())
	if r.has(`,"vendor":`) {
		e.VendorID = r.again()
	}
	if r.has(`,"channel":`) {
		e.Channel = commerce.Channel(r.again())
	}
	if r.has(`,"customer":`) {
		e.Customer = r.text()
	}
	if r.has(`,"customerId":`) {
		e.CustomerID = r.text()
	}
	if r.has(`,"subscriptions":[`) {
		e.Subscriptions = append(e.Subscriptions, r.text())
		for r.has(",") {
			e.Subscriptions = append(e.Subscriptions, r.text())
		}
		r.want("]")
	}
	if r.has(`,"tenant":`) {
		e.TenantID = r.text()
	}
	if r.has(`,"total":{"amount":`) {
		e.Total.Amount = r.amount()
		r.want(`,"currency":`)
		e.Total.Currency = r.again()
		r.want("}")
	}
	r.state(&e.Before)
	r.want(`,"fingerprint":`)
	e.Fingerprint = r.text()
	r.attribution(&e.Attribution)
	r.want(`,"decision":{"action":`)
	e.Decision.Action = rules.Action(r.again())
	r.want(`,"rule":`)
	e.Decision.RuleID = r.again()
	r.want(`,"why":`)
	e.Decision.Why = r.again()
	e.Decision.Flagged = r.has(`,"flagged":true`)
	r.want("}")
	if r.has(`,"target":`) {
		e.Target = commerce.Status(r.again())
	}
	r.want("}")
	if r.err == nil && r.pos != len(line) {
		r.fail("the line should end here")
	}
	return r.err
}

func (r *entryReader) state(s *Snapshot) {
	r.want(`,"before":{"status":`)
	s.Status = commerce.Status(r.again())
	if r.has(`,"provisioningStatus":`) {
		s.ProvisioningStatus = commerce.ProvisioningStatus(r.again())
	}
	if r.has(`,"reason":`) {
		s.Reason = r.again()
	}
	if r.has(`,"placedAt":`) {
		s.PlacedAt = r.time()
	}
	if r.has(`,"failedAt":`) {
		s.FailedAt = r.time()
	}
	r.want("}")
}

func (r *entryReader) attribution(a *failure.Attribution) {
	r.want(`,"attribution":{"verdict":`)
	a.Verdict = failure.Verdict(r.again())
	r.want(`,"class":`)
	a.Class = failure.Class(r.again())
	if r.has(`,"window":`) {
		a.WindowID = r.again()
	}
	if r.has(`,"evidence":[`) {
		if a.Evidence == nil {
			a.Evidence = make([]failure.Evidence, 0, 4)
		}
		a.Evidence = append(a.Evidence, r.evidence())
		for r.has(",") {
			a.Evidence = append(a.Evidence, r.evidence())
		}
		r.want("]")
	}
	r.want("}")
}

func (r *entryReader) evidence() (ev failure.Evidence) {
	r.want(`{"kind":`)
	ev.Kind = r.again()
	r.want(`,"text":`)
	ev.Text = r.again()
	if r.has(`,"ref":`) {
		ev.Ref = r.again()
	}
	if r.has(`,"at":`) {
		ev.At = r.time()
	}
	r.want("}")
	return ev
}

// has reads past s if it comes next. After a failure nothing comes next, so that
// every loop ends.
func (r *entryReader) has(s string) bool {
	if r.err != nil || !strings.HasPrefix(r.line[r.pos:], s) {
		return false
	}
	r.pos += len(s)
	return true
}

func (r *entryReader) want(s string) {
	if r.err == nil && !r.has(s) {
		r.fail("want " + s)
	}
}

func (r *entryReader) fail(problem string) {
	if r.err == nil {
		rest := r.line[r.pos:min(len(r.line), r.pos+40)]
		r.err = fmt.Errorf("byte %d: %s, found %q", r.pos+1, problem, rest)
	}
}

// raw reads a string and returns what is between its quotes, and whether that
// still has escapes.
func (r *entryReader) raw() (raw string, escaped bool) {
	r.want(`"`)
	if r.err != nil {
		return "", false
	}
	if r.plain {
		if n := strings.IndexByte(r.line[r.pos:], '"'); n >= 0 {
			raw = r.line[r.pos : r.pos+n]
			r.pos += n + 1
			return raw, false
		}
	}
	for i := r.pos; i < len(r.line); i++ {
		switch c := r.line[i]; {
		case c == '"':
			raw = r.line[r.pos:i]
			r.pos = i + 1
			return raw, escaped
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			r.pos = i
			r.fail("a control character inside a string")
			return "", false
		}
	}
	r.fail("a string without an end")
	return "", false
}

// isPlain reports whether a line has no backslash, no control character and nothing
// outside ASCII, so that its strings are what is between their quotes.
func isPlain(line string) bool {
	for i := range len(line) {
		if c := line[i]; c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// text is a part of the line, if it has no escapes.
func (r *entryReader) text() string {
	raw, escaped := r.raw()
	return r.valid(raw, escaped)
}

// again is text for what many entries have in common.
func (r *entryReader) again() string {
	const most = 4096
	raw, escaped := r.raw()
	if s, ok := r.known[raw]; ok {
		return s
	}
	s := r.valid(raw, escaped)
	if r.known == nil {
		r.known = make(map[string]string)
	}
	if len(r.known) < most && len(raw) <= most && r.err == nil {
		s = strings.Clone(s)
		r.known[strings.Clone(raw)] = s
	} else if !r.borrow {
		s = strings.Clone(s)
	}
	return s
}

// valid is the text that raw stands for.
func (r *entryReader) valid(raw string, escaped bool) string {
	if r.err != nil || r.plain {
		return raw
	}
	s := raw
	if escaped {
		quoted := r.line[r.pos-len(raw)-2 : r.pos]
		if err := json.Unmarshal([]byte(quoted), &s); err != nil {
			r.fail("the string before this has a bad escape")
		}
	}
	if !utf8.ValidString(raw) {
		r.fail("the string before this is not UTF-8")
	}
	return s
}

func (r *entryReader) time() time.Time {
	raw, _ := r.raw()
	if r.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, raw)
	if err != nil {
		r.fail(fmt.Sprintf("%q is not a time like 2026-11-23T08:00:00Z", raw))
	}
	return t.UTC()
}

func (r *entryReader) amount() decimal.Decimal {
	raw, _ := r.raw()
	if r.err != nil {
		return decimal.Decimal{}
	}
	if d, ok := r.amounts[raw]; ok {
		return d
	}
	d, err := parseAmount(raw)
	if err != nil {
		r.fail(err.Error())
	}
	const most = 1024
	if r.amounts == nil {
		r.amounts = make(map[string]decimal.Decimal)
	}
	if len(r.amounts) < most && err == nil {
		r.amounts[strings.Clone(raw)] = d
	}
	return d
}

func amountText(d decimal.Decimal) string {
	if places := -d.Exponent(); places > 0 {
		return d.StringFixed(places)
	}
	return d.String()
}

// checkAmount refuses what parseAmount would not read.
func checkAmount(d decimal.Decimal) error {
	_, err := number.Text(d)
	return err
}

// parseAmount reads an amount as it is written, without an exponent.
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

// checkWritable refuses what would not be read back as it is.
func checkWritable(e *Entry) error {
	if err := checkAmount(e.Total.Amount); err != nil {
		return fmt.Errorf("total: %w", err)
	}
	for _, said := range [...]string{e.OrderID, string(e.Before.Status), string(e.Before.ProvisioningStatus),
		e.Before.Reason} {
		if !utf8.ValidString(said) { // the fingerprint would be another one
			return fmt.Errorf("%q is not UTF-8", text.Short(said))
		}
	}
	if err := checkYear(e.Before.PlacedAt, e.Before.FailedAt); err != nil {
		return err
	}
	for i := range e.Attribution.Evidence {
		if err := checkYear(e.Attribution.Evidence[i].At); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return nil
}

// checkYear refuses times that RFC 3339 cannot write.
func checkYear(times ...time.Time) error {
	for _, t := range times {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return fmt.Errorf("the year %d of a time cannot be right", year)
		}
	}
	return nil
}

// checkEntry says what is wrong with an entry: with one that is about to be
// written, and with one that was read. after is the time of placing of the entry
// before it.
func checkEntry(e *Entry, after time.Time) error {
	switch {
	case strings.TrimSpace(e.OrderID) == "":
		return errors.New("the order has no id")
	case !slices.Contains(rules.Actions(), e.Decision.Action):
		return fmt.Errorf("order %s: unknown action %q", text.Short(e.OrderID), e.Decision.Action)
	case !slices.Contains(failure.Classes(), e.Attribution.Class):
		return fmt.Errorf("order %s: unknown class %q", text.Short(e.OrderID), e.Attribution.Class)
	case !slices.Contains(failure.Verdicts(), e.Attribution.Verdict):
		return fmt.Errorf("order %s: unknown verdict %q", text.Short(e.OrderID), e.Attribution.Verdict)
	case e.Target != "" && e.Decision.Action != rules.Resubmit:
		return fmt.Errorf("order %s: has the target %q although it is not to be resubmitted", text.Short(e.OrderID), e.Target)
	}
	if sum := fingerprint(e.OrderID, &e.Before); e.Fingerprint != string(sum[:]) {
		return fmt.Errorf("order %s: the fingerprint is not that of the order and its state", text.Short(e.OrderID))
	}
	return e.CheckOldestFirst(after)
}

// CheckAge returns an error if an entry is older than the one before it, which was placed at
// after. That is held to the second, as a list may tell it, though reading an order
// tells it finer.
func (e *Entry) CheckOldestFirst(after time.Time) error {
	if placed := e.Before.PlacedAt; !placed.IsZero() && placed.Before(after.Truncate(time.Second)) {
		return fmt.Errorf("order %s: was placed %s, before the order ahead of it; orders must come oldest first",
			text.Short(e.OrderID), placed.Format(time.RFC3339Nano))
	}
	return nil
}
