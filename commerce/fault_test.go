package commerce_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
)

func TestErrorWrapsFault(t *testing.T) {
	t.Parallel()
	err := error(&commerce.Error{Op: "read order", Err: &commerce.Fault{Code: 7,
		Message: "Table Account does not\ncontain row with ID 99999999."}})
	require.EqualError(t, err, "commerce: read order: fault 7: Table Account does not contain row with ID 99999999.")
	f, ok := errors.AsType[*commerce.Fault](err)
	require.True(t, ok)
	require.Equal(t, 7, f.Code)
}

// A gateway does not know Billing's faults, so one comes from Billing, whatever it proves.
func TestFaultIsNotFromAGateway(t *testing.T) {
	t.Parallel()
	require.True(t, (&commerce.Error{HTTPStatus: 500}).Gateway())
	require.False(t, (&commerce.Error{HTTPStatus: 500, Err: &commerce.Fault{Code: 7}}).Gateway())
}
