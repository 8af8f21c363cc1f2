package console

import (
	"encoding/binary"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	chunkSize = 1 << 20
	// maxDetails limits the details of one plan, and of all plans that are open, in bytes. 100 000 orders need about
	// 20 MB.
	maxDetails = 48 << 20
)

// details have the properties of orders that differ within a kind, so that a filter does not read the plan again. They
// are in the order of the plan; each is its length and its fields.
type details struct {
	chunks []string
	last   []byte // the chunk that is not full
	row    []byte // is used again for each order
	size   int
	tooBig bool // the plan has more than maxDetails: there are none
}

// add adds an order.
func (d *details) add(e *plan.Entry) {
	if d.tooBig {
		return
	}
	row := d.row[:0]
	for _, field := range []string{
		e.OrderID, e.Number, e.CustomerID, customerName(e), e.TenantID, e.Before.Message, e.Total.Currency,
	} {
		row = appendField(row, field)
	}
	amount := ""
	if !e.Total.IsZero() {
		amount = e.Total.Amount.String()
	}
	row = appendField(row, amount)
	row = appendTime(appendTime(row, e.Before.PlacedAt), e.Before.FailedAt)
	for _, subscription := range e.Subscriptions {
		row = appendField(row, subscription)
	}
	start := len(d.last)
	d.row, d.last = row, appendField(d.last, row)
	if d.size += len(d.last) - start; d.size > maxDetails {
		*d = details{tooBig: true}
	} else if len(d.last) >= chunkSize {
		d.flush()
	}
}

// flush ends a chunk.
func (d *details) flush() {
	d.chunks, d.last = append(d.chunks, string(d.last)), d.last[:0]
}

// finish is called after the last order.
func (d *details) finish() {
	d.flush()
	d.last, d.row = nil, nil
}

// detailReader reads the details of one order after the other.
type detailReader struct {
	*details
	rest string
	read int // chunks
}

// next returns the details of the next order; "" if there are none.
func (r *detailReader) next() (row string) {
	if r.tooBig {
		return ""
	}
	if r.rest == "" {
		r.rest = r.chunks[r.read]
		r.read++
	}
	row, r.rest = cutField(r.rest)
	return row
}

// unpack sets the properties of an order. Those of its kind are set.
func unpack(row string, o *commerce.Order) {
	var message, currency, amount, placed, failed string
	for _, field := range []*string{
		&o.ID, &o.Number, &o.CustomerID, &o.CustomerName, &o.TenantID, &message, &currency, &amount, &placed, &failed,
	} {
		*field, row = cutField(row)
	}
	o.Failure.Messages[messageLocale] = message
	o.PlacedAt, o.FailedAt = unpackTime(placed), unpackTime(failed)
	o.Total = commerce.Money{Currency: currency}
	if amount != "" {
		o.Total.Amount, _ = number.Decimal(amount) // it was written by String
	}
	o.SubscriptionIDs = o.SubscriptionIDs[:0]
	for row != "" {
		var subscription string
		subscription, row = cutField(row)
		o.SubscriptionIDs = append(o.SubscriptionIDs, subscription)
	}
}

func appendField[T ~string | ~[]byte](to []byte, field T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(field))), field...)
}

// cutField returns the first field and what follows.
func cutField(s string) (field, rest string) {
	n, i := int(s[0]&0x7F), 1
	for shift := 7; s[i-1] >= 0x80; shift += 7 {
		n |= int(s[i]&0x7F) << shift
		i++
	}
	return s[i : i+n], s[i+n:]
}

// appendTime appends a field with a time; an empty one for none.
func appendTime(to []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(to, 0)
	}
	to = binary.BigEndian.AppendUint64(append(to, 12), uint64(t.Unix())) //nolint:gosec // and back
	return binary.BigEndian.AppendUint32(to, uint32(t.Nanosecond()))     //nolint:gosec // below 1e9
}

func unpackTime(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	seconds, nanoseconds := binary.BigEndian.Uint64([]byte(s)), binary.BigEndian.Uint32([]byte(s[8:]))
	return time.Unix(int64(seconds), int64(nanoseconds)).UTC() //nolint:gosec // see appendTime
}
