package billing

import (
	"math"
	"strconv"
	"time"
)

// NullInt is an integer that may be [Null], for parameters and results of [Client.Execute]. The
// zero value is 0. That Billing has a number that means null is documented
// (commerce/WIRE.md#1.3).
type NullInt int64

// Null is the NullInt for an XML-RPC value that is absent: Billing sends this number for null.
const Null NullInt = math.MinInt32

// Int returns the number, and false for [Null].
func (n NullInt) Int() (int64, bool) {
	if n == Null {
		return 0, false
	}
	return int64(n), true
}

// Time returns the time that is this number of seconds after 1970-01-01 UTC. It returns the zero time for [Null] and 0.
func (n NullInt) Time() time.Time {
	if n == Null || n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// String returns the number, or "null".
func (n NullInt) String() string {
	if n == Null {
		return "null"
	}
	return strconv.FormatInt(int64(n), 10)
}

// id returns the number as an id, or "" for null.
func (n NullInt) id() string {
	if n == Null {
		return ""
	}
	return n.String()
}
