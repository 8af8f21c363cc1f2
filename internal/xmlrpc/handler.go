package xmlrpc

import (
	"context"
	"errors"
	"net/http"
)

// Handler serves calls: call gets each, and its result is the answer. An error of call
// that is or wraps a [*Fault] is answered as that fault, any other as fault 1 with its text. A
// call that cannot be read is a fault too, as the specification wants.
func Handler(d DecodeOptions, e EncodeOptions, call func(ctx context.Context, c Call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "XML-RPC is spoken by POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := answer(r, d, e, call)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write(body) //nolint:gosec // the encoder escapes; a caller who is gone is no concern
	})
}

func answer(r *http.Request, d DecodeOptions, e EncodeOptions, call func(context.Context, Call) (any, error)) ([]byte, error) {
	c, err := DecodeCall(r.Body, d)
	if err != nil {
		return EncodeFault(&Fault{Code: 1, Message: err.Error()})
	}
	result, err := call(r.Context(), c)
	if f, ok := errors.AsType[*Fault](err); ok {
		return EncodeFault(f)
	}
	if err != nil {
		return EncodeFault(&Fault{Code: 1, Message: err.Error()})
	}
	return EncodeResponse(e, result)
}
