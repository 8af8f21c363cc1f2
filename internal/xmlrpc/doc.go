// Package xmlrpc encodes and decodes XML-RPC calls and answers, as a stream and within limits.
//
//	c := &xmlrpc.Client{HTTP: rest, Path: "RPC2"}
//	var rows [][]any
//	err := c.Call(ctx, "read order", rest.Read, "Execute", func(v *xmlrpc.Value) error {
//		return v.Members(func(name string, v *xmlrpc.Value) error {
//			if name == "Result" {
//				return v.Decode(&rows)
//			}
//			return nil // skipped
//		})
//	}, execute{Server: "BM", Method: "GetOrder_API", Params: []any{1000027}})
//	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok { … f.Code, f.Message … }
//
// A [Value] is a cursor over the document: what is read by its methods costs no reflection. [Value.Decode]
// fills Go values by reflection, [Value.Any] makes maps and slices.
//
// All types of the specification (http://xmlrpc.com/spec.md) are read, and what servers send beyond it: nil and
// i8 (also with a prefix), bigint, times with dashes, zones and fractions, faults without a code or
// a text, and encodings of one byte: a text that is valid UTF-8 is read as such, whatever is declared. Characters
// that XML cannot carry are replaced, except by [Value.Literal]. All else is refused: see [Error].
//
// All functions are safe for concurrent use; a Value is not.
package xmlrpc
