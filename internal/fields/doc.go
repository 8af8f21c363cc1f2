// Package fields reads JSON objects whose fields have different forms on different servers: ids
// as strings or numbers, times with or without a zone, null for anything.
//
//	r, err := fields.Of(raw)
//	if err != nil {
//		return err
//	}
//	order.ID = r.Text("orderId")
//	order.PlacedAt = r.Time("orderDate")
//	return r.Err() // orderDate must be a time such as …, not "yesterday"
//
// An absent or null field reads as the zero value. A field that has no known form also reads as
// the zero value, and is one of the [Reader.Problems]. A [Reader] is not safe for concurrent use.
package fields
