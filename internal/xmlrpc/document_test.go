package xmlrpc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

func TestTheStartOfADocument(t *testing.T) {
	t.Parallel()
	good := answer("<value>x</value>")
	for _, start := range []string{
		"", `<?xml version="1.0"?>`, "\ufeff", "\ufeff<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n",
		`<?xml version="1.0" encoding="UTF-8"?><!-- hello -->` + "\n", "\n\n",
		"\r\n\n <?xml version='1.0'?>", "\n\ufeff\n<?xml version='1.0'?>", "<!-- \x01 -->",
		`<?xml ?>`, `<?xml encoding="UTF-8"?>`, `<?xml version="1.0" foo="1"?>`, `<?xml version="1.0" encoding=UTF-8?>`,
	} {
		got, err := decode[string](t, start+good+"\n<!-- bye -->\n")
		require.NoError(t, err, start)
		require.Equal(t, "x", got)
	}
	for start, want := range map[string]string{
		`<?xml version="1.0" encoding="utf-16"?>`: `"utf-16": only UTF-8`,
		"\xff\xfe<\x00":             "the document is in UTF-16: only UTF-8",
		`<?xml version="1.1"?>`:     `unsupported version "1.1"`,
		`<?xml version="1.0">`:      "the document ends too early",
		`<?php echo 1 ?>`:           "a processing instruction is not allowed here",
		`<!DOCTYPE methodResponse>`: "a DOCTYPE is refused",
		`<!doctype html><html>`:     "the document is an HTML page: is the URL right, or is a maintenance page being served?",
		`<html lang="en">`: "expected <methodResponse>, found <html>: is the URL right, or is a maintenance page " +
			"being served?",
		`{"error":"x"}`: `the document is not XML: it starts "{\"error\":`,
		`<!ELEMENT a>`:  `"<!ELEMENT a" is not allowed here`,
		"<!-- -- -->":   `invalid sequence "--" not allowed in comments`,
	} {
		_, err := decode[string](t, start+good)
		require.ErrorContains(t, err, want, start)
	}
	_, err := decode[string](t, "")
	require.EqualError(t, err, "xmlrpc: byte 0: the document is empty")
}

func TestDocumentsThatAreNotXMLRPCAreRefused(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		answer("<value>x</value>") + "x":                `something follows the document: "x"`,
		answer("<value>x</value>") + "<a/>":             "something follows the document",
		answer("<value>x</value>") + answer("<value/>"): "something follows the document",
		answer(""):                 "expected <value>, found </param>",
		answer("<value/><value/>"): "expected </param>, found <value>",
		"<methodResponse/>":        "expected <params> or <fault>, found </methodResponse>",
		"<methodResponse><params/></methodResponse>":          "expected <param>, found </params>",
		"<methodCall><methodName>a</methodName></methodCall>": "expected <methodResponse>, found <methodCall>",
		"<methodResponse><foo>":                               "expected <params> or <fault>, found <foo>",
		"<methodResponse><params></methodResponse>":           "expected <param>, found </methodResponse>",
		answer("<value><i4>1</int></value>"):                  "expected </i4>, found </int>",
		answer("<value><i4>1</i4>x</value>"):                  `found the text "x" where a tag is expected`,
		answer("<value>x<i4>1</i4></value>"):                  `found the text "x" before the type of a value`,
		answer("<value><i4>1</i4><i4>1</i4></value>"):         "expected </value>, found <i4>",
		answer("<value><string><b>x</b></string></value>"):    "expected </string>, found <b>",
		answer("<value><foo>1</foo></value>"):                 "<foo> is not a type of XML-RPC",
		answer("<value><value/></value>"):                     "<value> is not a type of XML-RPC",
		answer("<value><ex:i4>1</ex:i4></value>"):             "<ex:i4> is not a type of XML-RPC",
		answer(`<value><ex:i8>1</i8></value>`):                "expected </ex:i8>, found </i8>",
		answer(`<value><i8>1</ex:i8></value>`):                "expected </i8>, found </ex:i8>",
		answer("<value><array/></value>"):                     "expected <data>, found </array>",
		answer("<value><array></array></value>"):              "expected <data>, found </array>",

		answer("<value><array><data><i4/></data></array></value>"): "expected <value>, found <i4>",

		answer("<value><struct><name>a</name></struct></value>"): "expected <member>, found <name>",

		answer("<value><struct><member><value/><name>a</name></member></struct></value>"): "expected <name>, found <value>",

		answer("<value><struct><member><name>a</name></member></struct></value>"): "expected <value>, found </member>",

		answer("<value><struct>" +
			"<member><name>a</name><value/><value/></member></struct></value>"): "a: expected </member>, found <value>",

		answer("<value>&nbsp;</value>"):     "invalid character entity &nbsp;",
		answer("<value>&#x110000;</value>"): "invalid character entity &#x110000;",
		answer("<value>a & b</value>"):      "invalid character entity &",
		answer("<value>a]]>b</value>"):      "unescaped ]]> not in CDATA section",
		answer("<value><>"):                 "expected element name after <",
		answer("<value></>"):                "expected element name after </",
		answer("<value>< b>"):               "expected element name after <",
		answer("<value><a:b:c>"):            "expected element name after <",
		answer("<value><i4 a=1>"):           "unquoted or missing attribute value",
		answer("<value><i4 a='1'b='2'>"):    "expected </i4>, found </param>",
		answer("<value><i4 a='1 b=\"2\">"):  "unescaped < inside quoted string",
		answer("<value><i4 a='&amp;'>"):     "expected </i4>, found </param>",
		answer("<value></value a='1'>"):     "invalid characters between </value and >",
		answer("<value><i4" + strings.Repeat(" ", 3000) +
			">"): "a tag is longer than 2048 bytes",
		head + "<value><i4":          "the document ends too early: was it cut off?",
		head + "<value>abc":          "the document ends too early: was it cut off?",
		head + "<value><![CDATA[abc": "the document ends too early",
		head + "<!-- abc":            "the document ends too early",
	} {
		_, err := decode[any](t, document)
		require.ErrorContains(t, err, want, document)
	}
}

func TestAFaultIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	fault := func(members string) string {
		return "<methodResponse><fault><value><struct>" + members + "</struct></value></fault></methodResponse>"
	}
	const code, text = "<member><name>faultCode</name><value><int>4</int></value></member>",
		"<member><name>faultString</name><value><string>VG9v\nmany</string></value></member>"
	_, err := decode[int](t, fault(code+text))
	require.Equal(t, &xmlrpc.Fault{Code: 4, Message: "VG9v\nmany"}, err)
	require.EqualError(t, err, "fault 4: VG9v many")
	_, err = decode[int](t, fault(text+"<member><name>more</name><value/></member>"+code))
	require.Equal(t, &xmlrpc.Fault{Code: 4, Message: "VG9v\nmany"}, err)
	for _, document := range []string{fault(""), fault(code + text)[:150], fault(code+text) + "x"} {
		_, err = decode[int](t, document)
		require.ErrorAs(t, err, new(*xmlrpc.Error), document)
	}
}

func TestACallIsReadAsItsMethodSays(t *testing.T) {
	t.Parallel()
	call := func(params string) string {
		return "<methodCall> <methodName>pem.APS.getUserToken</methodName>" + params + "</methodCall>"
	}
	const params = "<params><param><value><i4>1</i4></value></param> <param><value><struct><member><name>user_id</name>" +
		"<value>x</value></member></struct></value></param></params>"
	c, err := xmlrpc.DecodeCall(strings.NewReader(call(params)), xmlrpc.DecodeOptions{})
	require.NoError(t, err)
	require.Equal(t, xmlrpc.Call{Method: "pem.APS.getUserToken", Params: []any{1, map[string]any{"user_id": "x"}}}, c)

	for _, none := range []string{"", "<params/>", "<params> </params>"} {
		c, err := xmlrpc.DecodeCall(strings.NewReader(call(none)), xmlrpc.DecodeOptions{})
		require.NoError(t, err)
		require.Empty(t, c.Params)
	}
	for bad, want := range map[string]string{
		"<param/>":                                         "expected <params>, found <param>",
		"<params><value/></params>":                        "params[0]: expected <param>, found <value>",
		"<params><param/></params>":                        "params[0]: expected <value>, found </param>",
		"<params><param></param></params>":                 "params[0]: expected <value>, found </param>",
		"<params/><params/>":                               "expected </methodCall>, found <params>",
		"<params><param><value/><value/></param></params>": "params[0]: expected </param>, found <value>",
	} {
		_, err := xmlrpc.DecodeCall(strings.NewReader(call(bad)), xmlrpc.DecodeOptions{})
		require.ErrorContains(t, err, want, bad)
	}
	for _, name := range []string{"", "a b", "a-b", "é", strings.Repeat("a", 256)} {
		_, err := xmlrpc.DecodeCall(strings.NewReader("<methodCall><methodName>"+name+"</methodName></methodCall>"),
			xmlrpc.DecodeOptions{})
		require.ErrorContains(t, err, "the name of a method", name)
	}
	_, err = xmlrpc.DecodeCall(strings.NewReader(call(params)+"x"), xmlrpc.DecodeOptions{})
	require.ErrorContains(t, err, "something follows the document")
	_, err = xmlrpc.DecodeCall(strings.NewReader(answer("<value/>")), xmlrpc.DecodeOptions{})
	require.ErrorContains(t, err, "expected <methodCall>, found <methodResponse>")
}
