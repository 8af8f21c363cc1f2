package xmlrpc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

func TestSmoke(t *testing.T) {
	b, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{Nil: true}, map[string]any{"Result": []any{[]any{1, "a<b\r\n", 1.5, true, nil, []byte("xy")}}, "e": struct{}{}, "f": []any{}})
	require.NoError(t, err)
	var out any
	require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(string(b)), xmlrpc.DecodeOptions{}, &out))
	require.Equal(t, map[string]any{"Result": []any{[]any{1, "a<b\r\n", 1.5, true, nil, []byte("xy")}}, "e": map[string]any{}, "f": []any{}}, out)
	b, err = xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "Execute", 1, "x")
	require.NoError(t, err)
	c, err := xmlrpc.DecodeCall(strings.NewReader(string(b)), xmlrpc.DecodeOptions{})
	require.NoError(t, err)
	require.Equal(t, xmlrpc.Call{Method: "Execute", Params: []any{1, "x"}}, c)
	b, _ = xmlrpc.EncodeFault(&xmlrpc.Fault{Code: 4, Message: "no"})
	require.Equal(t, &xmlrpc.Fault{Code: 4, Message: "no"}, xmlrpc.DecodeResponse(strings.NewReader(string(b)), xmlrpc.DecodeOptions{}, &out))
}
