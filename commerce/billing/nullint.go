package billing

import (
	"math"
	"strconv"
	"time"
)

// NullInt is an integer of Billing, which has a number that means null, as documented
// (commerce/WIRE.md#1.3). It can be used in the parameters and results of [Client.Execute]. The
// zero value is the number 0.
type NullInt int64

// Null is the integer that means null.
const Null NullInt = math.MinInt32

// Int returns the number, and whether there is one.
func (n NullInt) Int() (int64, bool) {
	if n == Null {
		return 0, false
	}
	return int64(n), true
}

// Time takes the number for seconds since 1970. It is the zero time for null and for 0.
func (n NullInt) Time() time.Time {
	if n == Null || n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// String is the number, or "null".
func (n NullInt) String() string {
	if n == Null {
		return "null"
	}
	return strconv.FormatInt(int64(n), 10)
}

// id is the number as an id; "" for null.
func (n NullInt) id() string {
	if n == Null {
		return ""
	}
	return n.String()
}
