package commercetest_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

func serveBody(t *testing.T, h http.Handler, method, path, body string, header map[string]string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

var faultString = regexp.MustCompile(`<name>faultString</name><value><string>([^<]*)<`)

// fault returns the decoded text of a fault.
func fault(t *testing.T, answer string) string {
	t.Helper()
	m := faultString.FindStringSubmatch(answer)
	require.NotNil(t, m, answer)
	text, err := base64.StdEncoding.DecodeString(m[1])
	require.NoError(t, err)
	return string(text)
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func change(id, second, third string) string {
	return execute("OrderStatusChange_API", "<i4>"+id+"</i4> <string>"+second+"</string> <string>"+third+"</string>")
}

func TestBillingRow(t *testing.T) {
	t.Parallel()
	for file, short := range map[string]bool{"row19.xml": false, "row17.xml": true} {
		r := newRig(t, func(c *commercetest.Config) { c.ShortRows = short })
		o := r.failed(commercetest.OrderSpec{VendorAccount: "20", Customer: "30", Comments: "5 < 6 & Zażółć",
			Total: usd("1234.50")})
		requireGolden(t, file, r.rpc("/billing/RPC2", execute("GetOrder_API", "<i4>"+o.BillingID+"</i4>"), nil))
	}
}

func TestBillingRowOfCompletedOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeBilling, VendorAccount: "not a number"})
	r.clock.Add(time.Minute)
	r.step()
	row, err := newBilling(t, r.base, billing.NoLogin()).Row(t.Context(), o.BillingID)
	require.NoError(t, err)
	require.Equal(t, "CP", row.OrderStatusID)
	require.Equal(t, r.clock.Now(), row.CompletedDate.Time().UTC())
	require.Equal(t, billing.Null, row.VendorAccountID, "Billing has only numbers")
	require.Equal(t, billing.Null, row.ExpirationDate)
}

// The signatures are those of commerce/WIRE.md#1.5 whose orders can be placed.
func TestBillingAcceptsKnownSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.StaleEventFor = -1 })
	var acme, plain, yen commercetest.Order
	r.clock.Set(time.Unix(1700000000, 0))
	for n := 1; n <= 29; n++ {
		order := commercetest.OrderSpec{FailWith: "x"}
		switch n {
		case 27:
			order.Comments = "Sales order for Acme"
			acme = r.sys.Place(order)
		case 28:
			r.clock.Set(time.Unix(1700000500, 0))
			order.Type, order.Total = commerce.TypeChange, usd("1234")
			plain = r.sys.Place(order)
		case 29:
			r.clock.Set(time.Unix(1700000900, 0))
			order.Comments, order.Total = "Zażółć", commerce.Money{Amount: decimal.NewFromInt(1200), Currency: "JPY"}
			yen = r.sys.Place(order)
		default:
			r.sys.Place(order)
		}
	}
	r.step()
	for id, signature := range map[string]string{
		acme.BillingID:  "896e5b31a005ae3054ecd0ead0e59b54",
		yen.BillingID:   "cac6ed0d7700a40e2358ababe199bcf0",
		plain.BillingID: md5Of("1000028CH0000281700000500USD 1234.00"),
	} {
		require.Contains(t, r.rpc("/billing/RPC2", change(id, "PD", signature), nil), "Operation done.")
	}
	requireGolden(t, "done.xml", r.rpc("/billing/RPC2",
		change("1000001", "PD", md5Of("1000001SO0000011700000000USD 12.50")), nil))
	for _, call := range r.sys.Pushes() {
		require.Equal(t, commercetest.OriginBilling, call.Origin)
		require.True(t, call.Accepted)
	}
}

func TestSignaturePrecision(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		currency, amount, signed string
		precision                map[string]int
	}{
		{"USD", "12.5", "12.50", nil},
		{"USD", "12.999", "12.99", nil},
		{"USD", "-12.999", "-12.99", nil},
		{"USD", "1234567.1", "1234567.10", nil},
		{"JPY", "1200", "1200", nil},
		{"JPY", "1200.9", "1200", nil},
		{"KWD", "1.5", "1.500", nil},
		{"XXX", "1", "1.00", nil},
		{"JPY", "1200", "1200.00", map[string]int{"JPY": 2}},
		{"USD", "12.5", "12", map[string]int{"USD": 0}},
	} {
		t.Run(test.currency+" "+test.amount, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *commercetest.Config) { c.Precision, c.StaleEventFor = test.precision, -1 })
			r.clock.Set(time.Unix(1700000000, 0))
			o := r.sys.Place(commercetest.OrderSpec{FailWith: "x", Comments: "by \t ", Total: commerce.Money{
				Amount: decimal.RequireFromString(test.amount), Currency: test.currency,
			}})
			r.step()
			signature := md5Of("1000001SO0000011700000000" + test.currency + " " + test.signed + "by")
			require.Contains(t, r.rpc("/billing/RPC2", change(o.BillingID, "PD", signature), nil), "Operation done.")
		})
	}
}

func TestBillingFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	id, row := "<i4>"+o.BillingID+"</i4>", execute("GetOrder_API", "<i4>1</i4>")
	signature := md5Of(o.BillingID + o.Number + "1772848800USD 12.50")
	for name, test := range map[string]struct{ body, says string }{
		"an unknown row": {execute("GetOrder_API", "<i4>99999999</i4>"),
			"Table Order does not contain row with ID 99999999."},
		"an unknown row to change": {change("99999999", "PD", signature),
			"Table Order does not contain row with ID 99999999."},
		"a wrong signature": {change(o.BillingID, "PD", "0123"),
			"the signature is not valid for the order with ID " + o.BillingID},
		"an upper case signature": {change(o.BillingID, "PD", strings.ToUpper(signature)),
			"signature is not valid"},
		"a transition that is not offered": {change(o.BillingID, "CP", signature),
			`offers no transition to "CP"; it offers CL, PD`},
		"swapped parameters":           {change(o.BillingID, signature, "PD"), "no status has 32 letters"},
		"no status":                    {change(o.BillingID, "", signature), "[OrderID, NewOrderStatus, Signature]"},
		"too few parameters to change": {execute("OrderStatusChange_API", id), "not 1 parameters"},
		"no parameters to change":      {execute("OrderStatusChange_API", ""), "not 0 parameters"},
		"a string as id to change": {execute("OrderStatusChange_API",
			"<string>x</string> <string>PD</string> <string>x</string>"), "not an integer"},
		"a number as status":  {execute("OrderStatusChange_API", id+" <i4>1</i4> <string>x</string>"), "are strings"},
		"too many parameters": {execute("GetOrder_API", id+" "+id), "not 2 parameters"},
		"a string as id":      {execute("GetOrder_API", "<string>SO000001</string>"), "not an integer"},
		"an unknown method":   {execute("OrderResubmit_API", id), `no method "OrderResubmit_API"`},
		"an unknown server":   {strings.Replace(row, "BM", "TASKMAN", 1), `no server "TASKMAN"`},
		"no server":           {strings.Replace(row, "Server", "server", 1), "Server is not a string"},
		"no parameters":       {strings.Replace(row, "Params", "params", 1), "Params is not an array"},
		"a language that is a number": {execute("GetOrder_API", id,
			"<member><name>Lang</name><value><i4>1</i4></value></member>"), "Lang is not a string"},
		"another method than Execute": {strings.Replace(row, ">Execute<", ">GetOrder_API<", 1), "call Execute"},
		"two structs": {strings.Replace(row, "<params>", "<params><param><value>x</value></param>", 1),
			"takes one struct"},
		"no struct": {"<methodCall><methodName>Execute</methodName><params><param><value>x</value></param></params>" +
			"</methodCall>", "takes one struct"},
		"not XML": {"GET / please", "not XML"},
	} {
		require.Contains(t, fault(t, r.rpc("/billing/RPC2", test.body, nil)), test.says, name)
	}
	require.Zero(t, r.order(o.ID).Pushes)
	require.Len(t, r.sys.Pushes(), 10, "all attempted pushes, and no reads")
	for _, call := range r.sys.Pushes() {
		require.NotEqual(t, commerce.Status(signature), call.To, "the ledger contains no signature")
	}
	requireGolden(t, "fault.xml", r.rpc("/billing/RPC2", execute("GetOrder_API", "<i4>99999999</i4>"), nil))

	res, _ := r.send(http.MethodGet, "/billing/RPC2", "", nil)
	require.Equal(t, http.StatusMethodNotAllowed, res.Status)
	res, _ = r.send(http.MethodPost, "/billing/RPC3", row, nil)
	require.Equal(t, http.StatusNotFound, res.Status)
}

func TestBillingWrongSignatureIsAnAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.InMaintenance = func() bool { return true } })
	o := r.failed(commercetest.OrderSpec{})
	require.Contains(t, fault(t, r.rpc("/billing/RPC2", change(o.BillingID, "PD", "0123"), nil)), "signature")
	require.Equal(t, []commercetest.Rule{commercetest.RuleMaintenance}, rules(r))
}

func TestBillingIgnoresUnknownMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	for _, path := range []string{"/billing/RPC2", "/billing/", "/billing"} {
		body := execute("GetOrder_API", "<int>"+o.BillingID+"</int>",
			"<member><name>methodName</name><value>Execute</value></member>",
			"<member><name>Lang</name><value>pl</value></member>")
		require.Contains(t, r.rpc(path, body, nil), o.Number)
	}
}

func TestBillingRawFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.PlainFaultTexts = true })
	require.Contains(t, r.rpc("/billing/RPC2", execute("GetOrder_API", "<i4>7</i4>"), nil),
		"Table Order does not contain row with ID 7.")
	_, err := newBilling(t, r.base, billing.NoLogin()).Order(t.Context(), "7")
	f, ok := errors.AsType[*commerce.Fault](err)
	require.True(t, ok)
	require.Equal(t, "Table Order does not contain row with ID 7.", f.Message)
}

func TestBillingSwappedPush(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.SignatureBeforeStatus = true })
	o := r.failed(commercetest.OrderSpec{})
	require.Error(t, newBilling(t, r.base, billing.NoLogin()).Push(t.Context(), o.BillingID, commerce.StatusPaid))
	require.NoError(t, newBilling(t, r.base, billing.NoLogin(), billing.WithSignatureBeforeStatus()).Push(t.Context(),
		o.BillingID,
		commerce.StatusPaid))
	require.Equal(t, 1, r.order(o.ID).Pushes)
}

func TestBillingLogin(t *testing.T) {
	t.Parallel()
	logins := map[commercetest.BillingLogin]billing.Auth{
		commercetest.LoginNone:   billing.NoLogin(),
		commercetest.LoginBasic:  billing.Basic("bob", "s3cret-word"),
		commercetest.LoginInCall: billing.LoginInCall("bob", "s3cret-word"),
	}
	wrong := map[commercetest.BillingLogin]billing.Auth{
		commercetest.LoginBasic:  billing.Basic("bob", "s4cret-word"),
		commercetest.LoginInCall: billing.LoginInCall("bob", "s4cret-word"),
	}
	for login := range logins {
		r := newRig(t, func(c *commercetest.Config) {
			c.BillingLogin = login
			if login != commercetest.LoginNone {
				c.BillingUser, c.BillingPassword = "bob", "s3cret-word"
			}
		})
		o := r.failed(commercetest.OrderSpec{})
		for sent, creds := range logins {
			_, err := newBilling(t, r.base, creds).Order(t.Context(), o.BillingID)
			if sent == login || login == commercetest.LoginNone {
				require.NoError(t, err)
				continue
			}
			require.Error(t, err, "wants %q, has %q", login, sent)
			require.NotContains(t, err.Error(), "s3cret-word")
		}
		if creds, ok := wrong[login]; ok {
			_, err := newBilling(t, r.base, creds).Order(t.Context(), o.BillingID)
			require.Error(t, err)
		}
	}
}

func FuzzBilling(f *testing.F) {
	f.Add(execute("GetOrder_API", "<i4>1000001</i4>"))
	f.Add(change("1000001", "PD", "0123"))
	sys := newSystem(f, commercetest.Config{})
	sys.Place(commercetest.OrderSpec{FailWith: "x"})
	require.NoError(f, sys.Step(f.Context()))
	f.Fuzz(func(t *testing.T, body string) {
		answer := serveBody(t, sys.Billing(), http.MethodPost, "/RPC2", body, nil)
		require.Contains(t, answer, "<methodResponse>")
		for _, o := range sys.Orders() {
			require.Zero(t, o.Pushes, "a signature cannot be guessed")
		}
	})
}
