package commercetest

import (
	"net/http"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// serveRPC answers one XML-RPC call: call returns the result, and fail encodes the
// answer to an error of call or of the document.
func serveRPC(w http.ResponseWriter, r *http.Request, o xmlrpc.EncodeOptions,
	call func(xmlrpc.Call) (any, error), fail func(error) ([]byte, error),
) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "XML-RPC requires POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := func() ([]byte, error) {
		c, err := xmlrpc.DecodeCall(r.Body, xmlrpc.DecodeOptions{ContentType: r.Header.Get("Content-Type")})
		if err != nil {
			return nil, err
		}
		result, err := call(c)
		if err != nil {
			return nil, err
		}
		return xmlrpc.EncodeResponse(o, result)
	}()
	if err != nil {
		body, err = fail(err)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(body) // the caller may have gone
}

// isRPCPath reports whether a path is that of XML-RPC or the root, as in the real servers (commerce/WIRE.md#1.1).
func isRPCPath(path string) bool { return path == "" || path == "/" || path == "/RPC2" }

// basic reports whether a request has the user and password by HTTP Basic.
func basic(r *http.Request, user, password string) bool {
	u, p, ok := r.BasicAuth()
	userOK, passwordOK := same(u, user), same(p, password)
	return ok && userOK && passwordOK
}

func refuseBasic(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="commercetest"`)
	http.Error(w, "user or password is missing or wrong", http.StatusUnauthorized)
}
