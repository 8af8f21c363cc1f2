package xmlrpc_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

var seeds = []string{
	answer("<value/>"), answer("<value> x </value>"), answer("<value><i4>-1</i4></value>"),
	answer("<value><ex:i8>5</ex:i8></value>"),
	answer("<value><bigint>99999999999999999999</bigint></value>"), answer("<value><double>1e3</double></value>"),
	answer(`<value xmlns:x="http://ws.apache.org/xmlrpc/namespaces/extensions"><x:nil/></value>`),
	answer("<value><boolean>1</boolean></value>"), answer("<value><base64>eHk=</base64></value>"),
	answer("<value><dateTime.iso8601>1998-07-17T14:08:55+02:00</dateTime.iso8601></value>"),
	answer("<value><string>a<![CDATA[<]]><!-- c -->&amp;&#13;\r\n]]</string></value>"),
	answer("<value><array><data><value/><value><struct><member><name>a</name><value/></member></struct></value></data>" +
		"</array></value>"),
	"\ufeff<?xml version='1.0' encoding='utf-8'?>\n" + answer("<value a='b' ><string >x</string\n></value>") + " <!---->",
	"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member><member>" +
		"<name>faultString</name><value>x</value></member></struct></value></fault></methodResponse>",
	"<methodCall><methodName>m</methodName><params><param><value>1</value></param></params></methodCall>",
	"<methodCall><methodName>m</methodName></methodCall>",
	"<!DOCTYPE a>", "<a", "&#x;", "\n<?xml version='1.0' encoding='iso-8859-1'?>" + answer("<value>\xe9</value>"),
	answer("<value>\x0b&#11;\xff\U0010FF0B</value>"), "<methodResponse><params/></methodResponse>",
}

func seed(f *testing.F) {
	f.Helper()
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
}

var everything = xmlrpc.EncodeOptions{Wide: xmlrpc.BigInt, Nil: true}

// FuzzDecodeResponse: what is read is the same however it comes, is what
// encoding/xml sees in it, and is read again from what the encoder makes of it.
func FuzzDecodeResponse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, slow any
		err := xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, &got)
		slowly := xmlrpc.DecodeResponse(iotest.OneByteReader(bytes.NewReader(body)), xmlrpc.DecodeOptions{}, &slow)
		if (err == nil) != (slowly == nil) || !reflect.DeepEqual(got, slow) {
			t.Fatalf("at once %v %v, byte by byte %v %v", got, err, slow, slowly)
		}
		skipped := xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, nil)
		if err == nil && skipped != nil {
			t.Fatalf("read, but not skipped: %v", skipped)
		}
		if _, ok := errors.AsType[*xmlrpc.Fault](err); err != nil && !ok {
			if _, ok := errors.AsType[*xmlrpc.Error](err); !ok {
				t.Fatalf("%T", err)
			}
			return
		}
		root, xmlErr := parseXML(body)
		if xmlErr != nil {
			t.Fatalf("encoding/xml refuses this: %v", xmlErr)
		}
		if err != nil {
			return // a fault
		}
		value := root.children[0].children[0].children[0]
		unlike := declared.Match(body) || bytes.Contains(body, []byte("CDATA")) && numbered.Match(body)
		if !unlike && !same(value, got) {
			t.Fatalf("encoding/xml sees something else than %#v", got)
		}
		again, err := xmlrpc.EncodeResponse(everything, got)
		if fraction(err) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var out any
		if err := xmlrpc.DecodeResponse(bytes.NewReader(again), xmlrpc.DecodeOptions{}, &out); err != nil ||
			!reflect.DeepEqual(got, out) {
			t.Fatalf("%v: %#v became %#v", err, got, out)
		}
	})
}

// FuzzDecodeCall: what is read can be written and is then read as the same.
func FuzzDecodeCall(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := xmlrpc.DecodeCall(bytes.NewReader(body), xmlrpc.DecodeOptions{})
		if err != nil {
			return
		}
		if _, err := parseXML(body); err != nil {
			t.Fatalf("encoding/xml refuses this: %v", err)
		}
		again, err := xmlrpc.EncodeCall(everything, c.Method, c.Params...)
		if fraction(err) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := xmlrpc.DecodeCall(bytes.NewReader(again), xmlrpc.DecodeOptions{})
		if err != nil || out.Method != c.Method || len(out.Params) != len(c.Params) || len(c.Params) > 0 &&
			!reflect.DeepEqual(c, out) {
			t.Fatalf("%v: %#v became %#v", err, c, out)
		}
	})
}

// node is an element as encoding/xml sees it.
type node struct {
	name     string
	text     string
	children []*node
}

// declared finds an encoding other than UTF-8.
var declared = regexp.MustCompile(`(?i)encoding\s*=\s*['"][^'"]*[^'"u8tf_-]`)

// numbered finds references to characters.
var numbered = regexp.MustCompile(`&#(x[0-9a-fA-F]+|[0-9]+);`)

// fraction reports whether a time was not encoded, since it has a fraction of a second.
func fraction(err error) bool {
	return err != nil && strings.Contains(err.Error(), "fraction of a second")
}

// parseXML parses a document without what XML cannot carry, and without the XML declaration.
func parseXML(body []byte) (*node, error) {
	text := xmlrpc.Display(strings.TrimLeft(string(body), " \t\r\n\ufeff"))
	if strings.HasPrefix(text, "<?xml") {
		_, text, _ = strings.Cut(text, "?>")
	}
	text = numbered.ReplaceAllStringFunc(text, func(reference string) string {
		d := xml.NewDecoder(strings.NewReader(reference))
		if _, err := d.Token(); err != nil && strings.Contains(err.Error(), "illegal character code") {
			return "\ufffd"
		}
		return reference
	})
	d := xml.NewDecoder(strings.NewReader(text))
	top := &node{}
	stack := []*node{top}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return top.children[0], nil
		}
		if err != nil {
			return nil, err
		}
		last := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local}
			last.children = append(last.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			last.text += string(token)
		}
	}
}

// same compares the shape and the texts of a <value>; numbers and times have tests of their own.
func same(value *node, got any) bool {
	if len(value.children) == 0 {
		return got == value.text
	}
	typed := value.children[0]
	switch got := got.(type) {
	case string:
		return typed.name == "string" && typed.text == got
	case []any:
		cells := typed.children[0].children
		for i := range cells {
			if len(cells) != len(got) || !same(cells[i], got[i]) {
				return false
			}
		}
		return len(cells) == len(got)
	case map[string]any:
		for _, m := range typed.children {
			member, ok := got[m.children[0].text]
			if !ok || !same(m.children[1], member) {
				return false
			}
		}
		return len(typed.children) == len(got)
	default:
		return !strings.Contains(" string array struct ", " "+typed.name+" ")
	}
}
