package commerce

import (
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Fault is an XML-RPC fault of Billing or Operations. It is the cause of an [*Error];
// errors.AsType[*Fault] finds it. What the codes mean is not documented
// (commerce/WIRE.md#1.3).
type Fault struct { //nolint:errname // the specification calls it a fault
	Code    int
	Message string // decoded: Billing sends base64
}

// Error is one line.
func (f *Fault) Error() string {
	return fmt.Sprintf("fault %d: %s", f.Code, rest.Excerpt(f.Message))
}
