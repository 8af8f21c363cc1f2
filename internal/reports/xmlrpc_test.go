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

// kolo/xmlrpc#31, gggeek/phpxmlrpc#49, alexejk/go-xmlrpc#94: an answer declared as ISO-8859-1.
func TestKolo31Latin1(t *testing.T) {
	got, err := execute(t, 200, nil, `<?xml version="1.0" encoding="iso-8859-1"?>`+result(v("<string>Caf\xe9</string>")))
	want(t, got, err, "Café")
}

// The same with nothing outside ASCII in it: only the declaration differs.
func TestKolo31Latin1PlainASCII(t *testing.T) {
	got, err := execute(t, 200, nil, `<?xml version="1.0" encoding="ISO-8859-1"?>`+result(v("<string>Cafe</string>")))
	want(t, got, err, "Cafe")
}

// A push whose "yes" comes in such an encoding must not look like trouble.
func TestKolo31PushAnsweredInLatin1(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		w.Header().Set("Content-Type", "text/xml")
		if strings.Contains(b.String(), "GetOrder_API") {
			_, _ = w.Write([]byte(xmlHead + row(1000027, "PF", "<string/>")))
			return
		}
		_, _ = w.Write([]byte(`<?xml version="1.0" encoding="iso-8859-1"?>` + result(v("<string>OK</string>"))))
	})
	err := billingClient(t, s.URL, billing.WithDefaultCurrency("EUR")).Push(within(t, 10*time.Second), "1000027", "PD")
	if err != nil {
		t.Errorf("push: %v", err)
	}
}

// gturri/aXMLRPC#74: times without colons.
func TestAXMLRPC74CompactTime(t *testing.T) {
	got, err := execute(t, 200, nil, xmlHead+result(v("<dateTime.iso8601>20261121T020304</dateTime.iso8601>")))
	want(t, got, err, time.Date(2026, 11, 21, 2, 3, 4, 0, time.UTC))
}

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

// maxcutler/python-wordpress-xmlrpc#12, dokuwiki/dokuwiki#1067.
func TestWordpress12BlankLines(t *testing.T) {
	for _, lead := range []string{"\n", "\r\n\r\n", "  "} {
		got, err := execute(t, 200, nil, lead+xmlHead+result(v("<int>7</int>")))
		want(t, got, err, 7)
	}
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

// kolo/xmlrpc#40, LordVeovis/xmlrpc#16: the code of a fault comes as a text. The message is what people need.
func TestKolo40FaultCodeAsText(t *testing.T) {
	for _, code := range []string{"<string>42</string>", "<string>Client</string>", "42"} {
		_, err := execute(t, 200, nil, fault(member("faultCode", code)+member("faultString", "no such row")))
		if got, ok := errors.AsType[*commerce.Fault](err); !ok || got.Message != "no such row" {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// mardiros/aioxmlrpc#16, Novik/ruTorrent#3275: a fault that comes with the status 500 is an answer of Billing: it is
// said as one, and a
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

// sgieseking/anyrpc#9: a void method answers without a parameter.
func TestAnyrpc9NoParameters(t *testing.T) {
	for _, s := range []string{"<params/>", "<params></params>"} {
		var calls atomic.Int32
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			_, _ = b.ReadFrom(r.Body)
			w.Header().Set("Content-Type", "text/xml")
			if strings.Contains(b.String(), "GetOrder_API") {
				_, _ = w.Write([]byte(xmlHead + row(1000027, "PF", "<string/>")))
				return
			}
			calls.Add(1)
			_, _ = w.Write([]byte(xmlHead + "<methodResponse>" + s + "</methodResponse>"))
		})
		err := billingClient(t, srv.URL, billing.WithDefaultCurrency("EUR")).Push(within(t, 10*time.Second), "1000027", "PD")
		if err != nil || calls.Load() != 1 {
			t.Errorf("%s: %v after %d pushes", s, err, calls.Load())
		}
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
		"plain": {200, fault(member("faultCode", "<int>42</int>") +
			member("faultString", "the transition is not allowed"))},
		"text code": {200, fault(member("faultCode", "<string>Client</string>") +
			member("faultString", "the transition is not allowed"))},
		"status 500": {500, fault(member("faultCode", "<int>42</int>") +
			member("faultString", "the transition is not allowed"))},
		"no string": {200, fault(member("faultCode", "<int>42</int>"))},
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
		if d != commerce.DeliveryRefused {
			t.Errorf("%s: delivery %q", name, d)
		}
	}
}
