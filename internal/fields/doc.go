// Package fields reads JSON objects of servers that are not of one mind about
// the shape of a field: ids as texts or numbers, times with and without a zone,
// null for anything.
//
//	r, err := fields.Of(raw)
//	if err != nil {
//		return err
//	}
//	order.ID = r.Text("orderId")
//	order.PlacedAt = r.Time("orderDate")
//	return r.Err() // orderDate must be a time such as …, not "yesterday"
//
// What is absent or null reads as the zero value; what is there must have one of
// the known shapes. A [Reader] keeps its first error and reads nothing after it.
package fields
