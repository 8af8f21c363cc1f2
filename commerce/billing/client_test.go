package billing_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var (
	_ resubmit.OrderLister = (*billing.Lister)(nil)
	_ resubmit.OrderReader = (*billing.Client)(nil)
	_ resubmit.Pusher      = (*billing.Client)(nil)
)

var (
	commerceError = clientkit.CommerceError
	golden        = clientkit.Golden
)

const base = "https://billing.example.net:5224"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is what a mock saw.
type wire struct {
	mu    sync.Mutex
	calls []string // the bodies
	heads []http.Header
	urls  []string
}

// mock is an HTTP client for a server that is a function of the request's body.
func mock(answer func(body string) (*http.Response, error)) (*http.Client, *wire) {
	w := &wire{}
	m := httpmock.NewMockTransport()
	m.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		w.calls = append(w.calls, string(body))
		w.heads = append(w.heads, r.Header)
		w.urls = append(w.urls, r.Method+" "+r.URL.String())
		w.mu.Unlock()
		return answer(string(body))
	})
	return &http.Client{Transport: m}, w
}

func client(t testing.TB, creds billing.Auth, answer func(string) (*http.Response, error),
	opts ...billing.Option) (*billing.Client, *wire) {
	t.Helper()
	h, w := mock(answer)
	opts = append([]billing.Option{billing.WithHTTPClient(h), billing.WithMaxTries(1)}, opts...)
	c, err := billing.New(base, creds, opts...)
	require.NoError(t, err)
	return c, w
}

func answers(status int, body string) func(string) (*http.Response, error) {
	return func(string) (*http.Response, error) { return httpmock.NewStringResponse(status, body), nil }
}

// fault is the answer for a fault whose text is sent as it is.
func fault(text string) string {
	body, err := xmlrpc.EncodeFault(&xmlrpc.Fault{Code: 1, Message: text})
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// result is the answer whose Result[0] is given.
func result(first any) string {
	body, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{}, map[string]any{"Result": []any{first}})
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func isPush(body string) bool { return strings.Contains(body, "OrderStatusChange_API") }

func TestNewErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, url string
		creds     billing.Auth
		opt       billing.Option
		want      string
	}{
		{"a base URL without scheme", "billing.example.net", billing.NoLogin(), nil, "must start with https://"},
		{"credentials in the base URL", "https://u:hidden-password@h:5224/RPC2", billing.NoLogin(), nil,
			"give them as Basic(user, password)"},
		{"no credentials", base, billing.Auth{}, nil, "use NoLogin, Basic or LoginInCall"},
		{"no user", base, billing.Basic("", "hidden-password"), nil, "the user is empty"},
		{"no password", base, billing.LoginInCall("u", ""), nil, "the password is empty"},
		{"a colon in the user of Basic", base, billing.Basic("u:v", "hidden-password"), nil, "cannot contain a colon"},
		{"a password with a line break", base, billing.LoginInCall("u", "hidden-password\n"), nil,
			"was it read with its line break?"},
		{"a password that is not UTF-8", base, billing.LoginInCall("u", "hidden-password\xff"), nil, "not UTF-8"},
		{"two paths", base + "/RPC2", billing.NoLogin(), billing.WithPath("/x"),
			`ends in /RPC2, but the path is set to "/x"`},
		{"no calls at all", base, billing.NoLogin(), billing.WithConcurrency(0), "WithConcurrency: 0 is not positive"},
		{"no tries", base, billing.NoLogin(), billing.WithMaxTries(0), "WithMaxTries: 0 is not between 1 and 20"},
		{"no body", base, billing.NoLogin(), billing.WithMaxBody(0), "WithMaxBody: 0 is not positive"},
		{"no wait", base, billing.NoLogin(), billing.WithMaxWait(0), "WithMaxWait: 0s is not positive"},
		{"no time", base, billing.NoLogin(), billing.WithTimeout(-1), "WithTimeout: -1ns is not positive"},
		{"an empty provider", base, billing.NoLogin(), billing.WithProviderAccount(""), "is empty"},
		{"an empty currency", base, billing.NoLogin(), billing.WithDefaultCurrency(""), "is empty"},
		{"an unknown time of placing", base, billing.NoLogin(), billing.WithPlacedAtColumn("Later"),
			`WithPlacedAtColumn: "Later" is neither`},
		{"a negative precision", base, billing.NoLogin(),
			billing.WithSignatureRule(billing.SignatureRule{Precision: map[string]int{"JPY": -1}}),
			`the precision of "JPY" is -1`},
		{"a digit as separator", base, billing.NoLogin(),
			billing.WithSignatureRule(billing.SignatureRule{ThousandsSeparator: "0"}), "must not be part of a number"},
		{"a fault that says that nothing was sent", base, billing.NoLogin(),
			billing.WithFaultDelivery(commerce.DeliveryNotSent),
			"is neither commerce.DeliveryRefused nor commerce.DeliveryUnknown"},
		{"no resolver", base, billing.NoLogin(), billing.WithNumberResolver(nil), "WithNumberResolver: the function is nil"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var opts []billing.Option
			if tc.opt != nil {
				opts = append(opts, tc.opt)
			}
			_, err := billing.New(tc.url, tc.creds, opts...)
			require.ErrorContains(t, err, "billing: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestClientPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		url  string
		opts []billing.Option
		want string
	}{
		{base, nil, base + "/RPC2"},
		{base + "/", nil, base + "/RPC2"},
		{base + "/RPC2", nil, base + "/RPC2"},
		{base + "/RPC2/", []billing.Option{billing.WithPath("RPC2")}, base + "/RPC2"},
		{base + "/behind/proxy", nil, base + "/behind/proxy/RPC2"},
		{base, []billing.Option{billing.WithPath("/")}, base},
		{base, []billing.Option{billing.WithPath("/xmlrpc/")}, base + "/xmlrpc"},
	} {
		h, w := mock(answers(200, golden(t, "done.xml")))
		c, err := billing.New(tc.url, billing.NoLogin(), append(tc.opts, billing.WithHTTPClient(h))...)
		require.NoError(t, err)
		require.NoError(t, c.Execute(t.Context(), billing.Call{Method: "X"}, nil))
		require.Equal(t, []string{"POST " + tc.want}, w.urls)
	}
}

func TestExecuteSendsTheEnvelope(t *testing.T) {
	t.Parallel()
	c, w := client(t, billing.LoginInCall("admin", "pass <&> word"), answers(200, golden(t, "done.xml")),
		billing.WithLang("pl"))
	err := c.Execute(t.Context(), billing.Call{
		Server: "PEMGATE", Method: "Everything_API",
		Params: []any{1000027, billing.Null, "Zażółć & co", 12.5, decimal.RequireFromString("0.1"), []byte{1, 2},
			[]int{1, 2}},
	}, nil)
	require.NoError(t, err)
	require.Equal(t, golden(t, "execute.xml"), w.calls[0])
	require.Equal(t, "text/xml; charset=utf-8", w.heads[0].Get("Content-Type"))
	require.Empty(t, w.heads[0].Get("Authorization"))
}

func TestBasicSendsAHeader(t *testing.T) {
	t.Parallel()
	c, w := client(t, billing.Basic("admin", "hidden-password"), answers(200, golden(t, "row19.xml")))
	_, err := c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, golden(t, "getorder.xml"), w.calls[0])
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:hidden-password")),
		w.heads[0].Get("Authorization"))
}

func TestExecuteDecodesFirstResult(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), answers(200, golden(t, "row19.xml")))
	var row struct {
		ID     int
		Number string
		Vendor billing.NullInt
	}
	require.NoError(t, c.Execute(t.Context(), billing.Call{Method: "GetOrder_API", Params: []any{1000027}}, &row))
	require.Equal(t, 1000027, row.ID)
	require.Equal(t, "SO000027", row.Number)
	require.EqualValues(t, 1, row.Vendor)
	var anything any
	require.NoError(t, c.Execute(t.Context(), billing.Call{Method: "GetOrder_API", Params: []any{1000027}}, &anything))
	require.Len(t, anything, 19)
}

func TestExecuteErrors(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(golden(t, "done.xml"), "</methodResponse>", "</method>", 1)
	for _, tc := range []struct {
		name, answer string
		call         billing.Call
		want         string
		delivery     commerce.Delivery
		calls        int
	}{
		{"no method", "", billing.Call{}, "the method is missing", commerce.DeliveryNotSent, 0},
		{"an integer of 64 bits", "", billing.Call{Method: "X", Params: []any{1 << 31}},
			`.Params[0]: the integer "2147483648" does not fit an i4`, commerce.DeliveryNotSent, 0},
		{"a parameter that no XML can carry", "", billing.Call{Method: "X", Params: []any{"\x01"}},
			"XML cannot carry the character U+0001", commerce.DeliveryNotSent, 0},
		{"nil", "", billing.Call{Method: "X", Params: []any{nil}}, "nil cannot be sent", commerce.DeliveryNotSent, 0},
		{"no result", result(1)[:0] + emptyResult, billing.Call{Method: "X"}, "the answer has no Result[0]",
			commerce.DeliveryUnknown, 1},
		{"a result of another type", result("text"), billing.Call{Method: "X"}, "Result[0]: ", commerce.DeliveryUnknown, 1},
		{"a document that is broken at its end", broken, billing.Call{Method: "X"}, "expected </methodResponse>",
			commerce.DeliveryUnknown, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, w := client(t, billing.NoLogin(), answers(200, tc.answer))
			out := []string{"as before"}
			err := c.Execute(t.Context(), tc.call, &out)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.delivery, commerceError(t, err).Delivery)
			require.Len(t, w.calls, tc.calls)
			require.Equal(t, []string{"as before"}, out)
		})
	}
}

const emptyResult = `<methodResponse><params><param><value><struct><member><name>Result</name><value><array><data/>` +
	`</array></value></member></struct></value></param></params></methodResponse>`

func TestFaults(t *testing.T) {
	t.Parallel()
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tc := range []struct {
		name, text, want string
		notFound         bool
	}{
		{"base64", encoded("Order flow has no such transition.\n"), "Order flow has no such transition.", false},
		{"base64 in lines", "T3JkZXIg\n ZmxvdyBmYWlsZWQ=\n", "Order flow failed", false},
		{"base64 of what is not UTF-8", base64.StdEncoding.EncodeToString([]byte{0xff, 0xfe, 0xfd}), "//79", false},
		{"plain text", "Access denied (it is plain)", "Access denied (it is plain)", false},
		{"other letters", encoded("Zażółć"), "Zażółć", false},
		{"nothing", "", "", false},
		{"a row that is not there", encoded("Table Account does not contain row with ID 99999999."),
			"Table Account does not contain row with ID 99999999.", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), answers(200, fault(tc.text)))
			err := c.Execute(t.Context(), billing.Call{Method: "X"}, nil)
			f, ok := errors.AsType[*commerce.Fault](err)
			require.True(t, ok)
			require.Equal(t, commerce.Fault{Code: 1, Message: tc.want}, *f)
			require.Equal(t, tc.notFound, errors.Is(err, commerce.ErrNotFound))
			require.Equal(t, commerce.DeliveryRefused, commerceError(t, err).Delivery)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	c, _ := client(t, billing.NoLogin(), answers(200, golden(t, "fault.xml")))
	_, err := c.Order(t.Context(), "99999999")
	require.EqualError(t, err,
		"commerce: read order: HTTP 200 OK: fault 5: Table Account does not contain row with ID 99999999.")
}

func TestHTTPErrors(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, tc := range []struct {
		name     string
		answer   func(string) (*http.Response, error)
		is       error
		delivery commerce.Delivery
		want     string
	}{
		{"wrong credentials", answers(401, ""), commerce.ErrUnauthorized, commerce.DeliveryRefused,
			"see Basic and LoginInCall"},
		{"no trust", answers(403, ""), commerce.ErrForbidden, commerce.DeliveryUnknown,
			"does not trust the address of this machine"},
		{"another path", answers(404, "no such path"), commerce.ErrNotFound, commerce.DeliveryUnknown, "no such path"},
		{"a proxy that waited", answers(408, ""), commerce.ErrUnavailable, commerce.DeliveryUnknown, "408"},
		{"trouble", answers(500, "trouble"), commerce.ErrUnavailable, commerce.DeliveryUnknown, "trouble"},
		{"maintenance", answers(503, "<html>"), commerce.ErrUnavailable, commerce.DeliveryUnknown, "503"},
		{"a page", answers(200, "\n<!DOCTYPE html><html>Maintenance"), commerce.ErrUnavailable, commerce.DeliveryUnknown,
			"the answer is a page, not XML-RPC"},
		{"another good status", answers(204, ""), nil, commerce.DeliveryUnknown, "204"},
		{"nobody there", func(string) (*http.Response, error) { return nil, dial }, commerce.ErrUnavailable,
			commerce.DeliveryNotSent,
			"connection refused"},
		{"a lost answer", func(string) (*http.Response, error) { return nil, errors.New("reset") }, commerce.ErrUnavailable,
			commerce.DeliveryUnknown, "reset"},
		{"a part of an answer", func(string) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK,
				Body: io.NopCloser(io.MultiReader(strings.NewReader("<methodResponse>"), cut{}))}, nil
		}, commerce.ErrUnavailable, commerce.DeliveryUnknown, "the answer broke off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, w := client(t, billing.NoLogin(), tc.answer)
			err := c.Execute(t.Context(), billing.Call{Method: "X"}, nil)
			require.ErrorContains(t, err, tc.want)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.Equal(t, tc.delivery, commerceError(t, err).Delivery)
			require.Len(t, w.calls, 1)
		})
	}
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A server that repeats all that it was sent, in every way that it can answer.
func TestErrorsAndLogsContainNoSecret(t *testing.T) {
	t.Parallel()
	const password = "hidden <&> password"
	const signature = "896e5b31a005ae3054ecd0ead0e59b54"
	sent := "Basic nothing"
	basic := base64.StdEncoding.EncodeToString([]byte("admin:" + password))
	for _, tc := range []struct {
		name   string
		answer func(body string) (*http.Response, error)
	}{
		{"an error of HTTP", func(body string) (*http.Response,
			error) {
			return httpmock.NewStringResponse(500, body+password), nil
		}},
		{"a header that is repeated", func(string) (*http.Response, error) {
			return httpmock.NewStringResponse(401, "no user has "+sent), nil
		}},
		{"a refusal", func(body string) (*http.Response, error) {
			return httpmock.NewStringResponse(400, signature+password), nil
		}},
		{"a fault", func(body string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, fault(body+password)), nil
		}},
		{"a fault in base64", func(body string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, fault(base64.StdEncoding.EncodeToString([]byte(body+password)))), nil
		}},
		{"text instead of XML", func(string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, "bad: "+signature+password), nil
		}},
		{"text that is cut in the middle of a secret", func(string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, strings.Repeat(" bad", 5)+signature), nil
		}},
		{"a password that is cut", func(string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, strings.Repeat(" bad", 6)+password), nil
		}},
		{"a type that is not known", func(string) (*http.Response, error) {
			return httpmock.NewStringResponse(200, "<methodResponse><params><param><value>"+password+signature+"<x>"), nil
		}},
	} {
		for way, creds := range []billing.Auth{billing.LoginInCall("admin", password), billing.Basic("admin", password)} {
			if sent = "Basic nothing"; way == 1 {
				sent = "Basic " + basic
			}
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c, _ := client(t, creds, func(body string) (*http.Response, error) {
				if isPush(body) {
					return tc.answer(body)
				}
				return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
			}, billing.WithLogger(logger))
			err := c.Push(t.Context(), "1000027", commerce.StatusPaid)
			require.Error(t, err, tc.name)
			e := commerceError(t, err)
			all := err.Error() + log.String() + e.Body + e.Message + e.URL
			for cause := error(e); cause != nil; cause = errors.Unwrap(cause) {
				all += cause.Error()
			}
			if f, ok := errors.AsType[*commerce.Fault](err); ok {
				all += f.Error()
			}
			require.Contains(t, log.String(), "push order")
			for _, secret := range []string{"hidden <", "hidden &lt;", signature, signature[:16], basic} {
				require.NotContains(t, all, secret, tc.name)
			}
		}
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	client, err := billing.New("https://billing.example.net:5224", billing.NoLogin())
	require.NoError(t, err)
	require.Equal(t, commerce.Capabilities{MaxConcurrency: 2, IDSpace: "billing"}, client.Capabilities())
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://Billing.example.net:5224":       "https://billing.example.net:5224",
		"https://billing.example.net:5224/RPC2/": "https://billing.example.net:5224",
	} {
		client, err := billing.New(given, billing.NoLogin())
		require.NoError(t, err)
		require.Equal(t, want, client.BaseURL())
	}
	client, err := billing.New("https://billing.example.net", billing.NoLogin(), billing.WithPath("other"))
	require.NoError(t, err)
	require.Equal(t, "https://billing.example.net/other", client.BaseURL())
}
