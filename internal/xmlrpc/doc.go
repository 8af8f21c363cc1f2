// Package xmlrpc encodes and decodes XML-RPC calls and answers, as a stream and within limits.
//
//	c := &xmlrpc.Client{HTTP: rest, Path: "RPC2"}
//	var rows []order
//	err := c.Call(ctx, "read order", rest.Read, "Execute", func(v *xmlrpc.Value) error {
//		return v.Members(func(name string, v *xmlrpc.Value) (err error) {
//			if name == "Result" {
//				rows, err = xmlrpc.Rows(v, (*order).cell) // cell(i int, v *xmlrpc.Value) error
//			}
//			return err
//		})
//	}, execute{Server: "BM", Method: "GetOrder_API", Params: []any{1000027}})
//	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok { … f.Code, f.Message … }
//
// A [Value] is a cursor over the document: what is read by its methods costs no reflection. [Value.Decode]
// fills Go values by reflection, [Value.Any] makes maps and slices.
//
// All types of the specification (http://xmlrpc.com/spec.md) are understood, and what servers
// send beyond it: <nil/>, i8 (both also with the prefix of Apache's extensions), bigint, and dates with dashes and zones.
// Documents are in UTF-8. Whatever the package does not know is refused: see [Error], which tells
// the byte and the path.
//
// All functions are safe for concurrent use; a Value is not.
package xmlrpc
