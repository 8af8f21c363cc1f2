package reports

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
)

// gturri/aXMLRPC#42, kolo/xmlrpc#41: dashes, a zone without a colon, Z.
func TestAXMLRPC42ZonedTimes(t *testing.T) {
	for _, s := range []string{"2026-11-21T02:03:04+0000", "2026-11-21T02:03:04Z", "20261121T02:03:04Z",
		"20261121T02:03:04"} {
		got, err := execute(t, 200, nil, xmlHead+result(v("<dateTime.iso8601>"+s+"</dateTime.iso8601>")))
		if err != nil || !got.(time.Time).Equal(time.Date(2026, 11, 21, 2, 3, 4, 0, time.UTC)) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

// gggeek/phpxmlrpc#91, gturri/aXMLRPC#36.
func TestPhpxmlrpc91Nil(t *testing.T) {
	for _, s := range []string{"<nil/>", "<nil></nil>",
		`<ex:nil xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"/>`} {
		got, err := execute(t, 200, nil, xmlHead+result(v(s)))
		want(t, got, err, nil)
	}
}

// Homegear/Homegear#40.
func TestHomegear40EmptyValues(t *testing.T) {
	for s, right := range map[string]string{
		"<value/>": "", "<value></value>": "", "<value><string/></value>": "", "<value>  a b </value>": "  a b ",
		"<value><string> x </string></value>": " x ", "<value>\n  <string>y</string>\n</value>": "y",
	} {
		got, err := execute(t, 200, nil, xmlHead+result(s))
		want(t, got, err, right)
	}
}

// gturri/aXMLRPC#141, baalexander/node-xmlrpc#66.
func TestAXMLRPC141CDATA(t *testing.T) {
	for s, right := range map[string]string{
		"<string><![CDATA[<b>&amp;</b>]]></string>": "<b>&amp;</b>", "<string>a<![CDATA[&]]>b</string>": "a&b",
		"<string>&#228;&#x20AC;&quot;&apos;</string>": "ä€\"'", "<string>line&#13;&#10;two</string>": "line\r\ntwo",
	} {
		got, err := execute(t, 200, nil, xmlHead+result(v(s)))
		want(t, got, err, right)
	}
}

// decathorpe/dxr#17.
func TestDxr17Base64Lines(t *testing.T) {
	got, err := execute(t, 200, nil, xmlHead+result(v("<base64>\n  U3Vi\r\n  c2NyaXB0aW9u\n</base64>")))
	want(t, got, err, []byte("Subscription"))
}

func TestExtraDoubles(t *testing.T) {
	for s, right := range map[string]float64{"1e5": 1e5, "1.5E-3": 0.0015, "-.5": -0.5, "5.": 5, "+2.0": 2} {
		got, err := execute(t, 200, nil, xmlHead+result(v("<double>"+s+"</double>")))
		want(t, got, err, right)
	}
	for _, s := range []string{"NaN", "INF", "1,5", "1e999", ""} {
		if got, err := execute(t, 200, nil, xmlHead+result(v("<double>"+s+"</double>"))); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func TestExtraMembersTwice(t *testing.T) {
	_, err := execute(t, 200, nil, xmlHead+result(v("<struct><member><name>a</name><value><int>1</int></value></member>"+
		"<member><name>a</name><value><int>2</int></value></member></struct>")))
	if err == nil {
		t.Error("a member that comes twice was read without a word")
	}
}

// mardiros/aioxmlrpc#16, Novik/ruTorrent#3275: a fault that comes with the status 500 is an answer of Billing: it is said as one, and a
// call that was answered with it is not called again.
func TestAioxmlrpc16FaultWithStatus500(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(fault(member("faultCode", "<int>42</int>") + member("faultString", "no such row"))))
	})
	_, err := billingClient(t, s.URL, billing.WithMaxWait(time.Millisecond)).Row(within(t, 10*time.Second), "1000027")
	if f, ok := errors.AsType[*commerce.Fault](err); !ok || f.Code != 42 {
		t.Errorf("no fault: %v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// scottgonzalez/node-wordpress#17: a page in the place of an answer to a push: nobody knows.
func TestNodeWordpress17Page(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		if strings.Contains(b.String(), "GetOrder_API") {
			_, _ = w.Write([]byte(xmlHead + row(1000027, "PF", "<string/>")))
			return
		}
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>maintenance</body></html>"))
	})
	err := billingClient(t, s.URL, billing.WithDefaultCurrency("EUR")).Push(within(t, 10*time.Second), "1000027", "PD")
	if d, ok := delivery(err); !ok || d != commerce.DeliveryUnknown || !errors.Is(err, commerce.ErrUnavailable) {
		t.Errorf("delivery %q: %v", d, err)
	}
}

// kolo/xmlrpc#40, mardiros/aioxmlrpc#16: what a push says when its refusal comes dressed as the servers above dress it.
func TestKolo40PushRefusedByOddFault(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"plain":      {200, fault(member("faultCode", "<int>42</int>") + member("faultString", "the transition is not allowed"))},
		"status 500": {500, fault(member("faultCode", "<int>42</int>") + member("faultString", "the transition is not allowed"))},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/xml")
			if strings.Contains(string(b), "GetOrder_API") {
				_, _ = io.WriteString(w, xmlHead+row(1000027, "PF", "<string/>"))
				return
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		err := billingClient(t, s.URL, billing.WithDefaultCurrency("EUR")).Push(within(t, 5*time.Second), "1000027", "PD")
		d, _ := delivery(err)
		if d != commerce.Refused {
			t.Errorf("%s: delivery %q", name, d)
		}
	}
}
