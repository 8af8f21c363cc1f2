package xmlrpc_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// hostile is a document that is made as it is read: a start, and a part that is
// repeated until size bytes have come; size 0 never ends. It watches the live heap.
type hostile struct {
	start, part string
	size        int64

	block  string // the part, often
	sent   int64
	next   int64 // when the heap is looked at
	before uint64
	peak   uint64
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (h *hostile) Read(p []byte) (int, error) {
	if h.sent >= h.next {
		h.peak = max(h.peak, liveHeap())
		h.next = h.sent + 512<<10
	}
	if h.block == "" {
		h.block = strings.Repeat(h.part, 1+32<<10/len(h.part))
	}
	if h.size > 0 && h.sent >= h.size {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		at := h.sent + int64(n)
		if at < int64(len(h.start)) {
			n += copy(p[n:], h.start[at:])
			continue
		}
		n += copy(p[n:], h.block[(at-int64(len(h.start)))%int64(len(h.block)):])
	}
	h.sent += int64(n)
	return n, nil
}

// No t.Parallel here: the heap is measured.
func TestAHostileDocumentCostsLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	const gib, most = 1 << 30, 16 << 20
	const array, object = "<value><array><data>", "<value><struct>"
	tests := map[string]struct {
		document hostile
		want     string
	}{
		"a gibibyte in one string": {hostile{start: head + "<value>", part: "abcdefgh", size: gib},
			"a text is longer than 1048576 bytes"},
		"a gibibyte of one number": {hostile{start: head + "<value><int>", part: "1", size: gib},
			"a text is longer than 1048576 bytes"},
		"a gibibyte of strings": {hostile{start: head + array,
			part: "<value>" + strings.Repeat("x", 1000) + "</value>", size: gib}, "bytes of memory"},
		"a gibibyte of short strings": {hostile{start: head + array, part: "<value>ab</value>", size: gib},
			"bytes of memory"},
		"a gibibyte of empty values": {hostile{start: head + array, part: "<value/>", size: gib}, "bytes of memory"},
		"a gibibyte of empty structs": {hostile{start: head + array, part: "<value><struct/></value>", size: gib},
			"bytes of memory"},
		"a gibibyte of small structs": {hostile{start: head + array,
			part: object + "<member><name>a</name><value/></member></struct></value>", size: gib}, "bytes of memory"},
		"a gibibyte of structs of nine": {hostile{start: head + array, part: object + members(9) + "</struct></value>",
			size: gib}, "bytes of memory"},
		"a gibibyte of empty arrays": {hostile{start: head + array, part: "<value><array><data/></array></value>",
			size: gib}, "bytes of memory"},
		"a gibibyte of small arrays": {hostile{start: head + array,
			part: "<value><array><data><value/></data></array></value>", size: gib}, "bytes of memory"},
		"a gibibyte of base64": {hostile{start: head + array,
			part: "<value><base64>" + strings.Repeat("QUJD", 100) + "</base64></value>", size: gib}, "bytes of memory"},
		"a gibibyte of one member's name": {hostile{start: head + object + "<member><name>", part: "a", size: gib},
			"a text is longer than 1048576 bytes"},
		"a gibibyte of members": {hostile{start: head + object, part: "<member><name>a</name><value/></member>",
			size: gib}, "the struct has this member twice"},
		"a tag without end": {hostile{start: head + "<value", part: " ", size: gib},
			"a tag is longer than 2048 bytes"},
		"a comment without end":      {hostile{start: head + "<!--", part: "x"}, "a text is longer than 1048576 bytes"},
		"an endless stream of space": {hostile{start: head, part: " \n"}, "the document is longer than 33554432 bytes"},
		"an endless stream after the end": {hostile{start: answer("<value/>"), part: "\n"},
			"the document is longer than 33554432 bytes"},
		"an endless stream of no XML":      {hostile{part: "x"}, "the document is not XML"},
		"an endless stream of nested tags": {hostile{start: head, part: array}, "values are nested more than 64 deep"},
		"name spaces without end": {hostile{start: head, part: `<value xmlns:a="b"><array><data>`},
			"values are nested more than 64 deep"},
		"10 000 levels of arrays": {hostile{start: head + strings.Repeat(array, 10_000), part: "x"},
			"values are nested more than 64 deep"},
		"10 000 levels of structs": {hostile{start: head + strings.Repeat(object+"<member><name>a</name>", 10_000),
			part: "x"}, "values are nested more than 64 deep"},
		"a billion laughs": {hostile{start: `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&` +
			`lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>` +
			answer("<value>&lol1;</value>"), part: "\n", size: 4096}, "a DOCTYPE is refused"},
	}
	for name, test := range tests { //nolint:paralleltest // see above
		t.Run(name, func(t *testing.T) {
			h := test.document
			h.before = liveHeap()
			var out any
			err := xmlrpc.DecodeResponse(&h, xmlrpc.DecodeOptions{}, &out)
			require.ErrorContains(t, err, test.want)
			require.Nil(t, out)
			used := int64(h.peak) - int64(h.before)
			require.Less(t, used, int64(most))
			t.Logf("%d KiB read, %d KiB used", h.sent>>10, used>>10)
		})
	}
}

func TestMembersAreLimitedToo(t *testing.T) { //nolint:paralleltest // the heap is measured
	var b strings.Builder
	b.WriteString(head + "<value><struct>")
	for i := range 200_000 {
		b.WriteString("<member><name>" + strconv.Itoa(i) + "</name><value/></member>")
	}
	for _, out := range []any{new(any), new(map[string]string)} {
		h := hostile{start: b.String(), part: "x", before: liveHeap()}
		err := xmlrpc.DecodeResponse(&h, xmlrpc.DecodeOptions{}, out)
		require.ErrorContains(t, err, "bytes of memory")
		used := int64(liveHeap()) - int64(h.before)
		require.Less(t, max(used, int64(h.peak)-int64(h.before)), int64(10<<20), "the estimate is honest")
		runtime.KeepAlive(out)
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("<member><name>" + string(rune('a'+i)) + "</name><value/></member>")
	}
	return b.String()
}

func TestSkippingIsLimitedTooAndCostsNothing(t *testing.T) { //nolint:paralleltest // the heap is measured
	h := hostile{start: head + "<value><array><data>",
		part: "<value><struct><member><name>a</name><value>abc</value></member></struct></value>"}
	h.before = liveHeap()
	err := xmlrpc.DecodeResponse(&h, xmlrpc.DecodeOptions{}, nil)
	require.ErrorContains(t, err, "the document has more than 500000 values")
	require.Less(t, int64(h.peak)-int64(h.before), int64(1<<20))
}

func TestTypedTargetsAreLimitedToo(t *testing.T) { //nolint:paralleltest // the heap is measured
	type fat struct{ A, B, C, D [1024]byte }
	object := hostile{start: head + "<value><array><data>", part: "<value><struct/></value>"}
	tests := map[string]struct {
		h   hostile
		out any
	}{
		"structs":            {object, new([]fat)},
		"pointers":           {object, new([]*fat)},
		"maps":               {object, new([]map[string]fat)},
		"structs of nothing": {object, new([]struct{})},
	}
	for name, test := range tests { //nolint:paralleltest // see above
		t.Run(name, func(t *testing.T) {
			test.h.before = liveHeap()
			err := xmlrpc.DecodeResponse(&test.h, xmlrpc.DecodeOptions{MaxValues: 100_000}, test.out)
			require.ErrorContains(t, err, "ask for less at once, or raise the limit")
			require.Less(t, int64(test.h.peak)-int64(test.h.before), int64(16<<20))
		})
	}
}

func TestLimitsAreOptions(t *testing.T) {
	t.Parallel()
	const document = head + "<value><array><data><value>abcd</value><value><array><data><value/></data></array></value>" +
		"</data></array></value>" + tail
	tests := map[string]struct {
		o    xmlrpc.DecodeOptions
		want string
	}{
		"just the bytes":     {xmlrpc.DecodeOptions{MaxBytes: int64(len(document))}, ""},
		"one byte too many":  {xmlrpc.DecodeOptions{MaxBytes: int64(len(document)) - 1}, "the document is longer than"},
		"just the depth":     {xmlrpc.DecodeOptions{MaxDepth: 2}, ""},
		"one level too deep": {xmlrpc.DecodeOptions{MaxDepth: 1}, "[1][0]: values are nested more than 1 deep"},
		"just the values":    {xmlrpc.DecodeOptions{MaxValues: 4}, ""},
		"one value too many": {xmlrpc.DecodeOptions{MaxValues: 3}, "the document has more than 3 values"},
		"just the text":      {xmlrpc.DecodeOptions{MaxText: 4}, ""},
		"text too long":      {xmlrpc.DecodeOptions{MaxText: 3}, "a text is longer than 3 bytes"},
		"too much memory":    {xmlrpc.DecodeOptions{MaxMemory: 100}, "more than 100 bytes of memory"},
		"no limits": {xmlrpc.DecodeOptions{MaxBytes: -1, MaxDepth: -1, MaxValues: -1, MaxText: -1, MaxMemory: -1},
			""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out any
			err := xmlrpc.DecodeResponse(strings.NewReader(document), test.o, &out)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}

func TestAReaderThatFailsIsNotAGoodDocument(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	start := strings.NewReader(head + "<value>abc")
	err := xmlrpc.DecodeResponse(io.MultiReader(start, iotest.ErrReader(mine)), xmlrpc.DecodeOptions{}, nil)
	require.ErrorIs(t, err, mine)
	require.ErrorContains(t, err, "byte 41: the document cannot be read on: mine")
	err = xmlrpc.DecodeResponse(stuck{}, xmlrpc.DecodeOptions{}, nil)
	require.ErrorIs(t, err, io.ErrNoProgress)
	err = xmlrpc.DecodeResponse(io.MultiReader(strings.NewReader(answer("<value/>")), iotest.ErrReader(mine)),
		xmlrpc.DecodeOptions{}, nil)
	require.ErrorIs(t, err, mine, "what follows the document is part of it")
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestScalars_refuse_long_numbers_before_parsing(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	for element, read := range map[string]func(*xmlrpc.Value) error{
		"i4":               func(v *xmlrpc.Value) error { _, err := v.Int64(); return err },
		"int":              func(v *xmlrpc.Value) error { _, err := v.Int(); return err },
		"i8":               func(v *xmlrpc.Value) error { _, err := v.BigInt(); return err },
		"biginteger":       func(v *xmlrpc.Value) error { _, err := v.Any(); return err },
		"double":           func(v *xmlrpc.Value) error { _, err := v.Float(); return err },
		"double ":          func(v *xmlrpc.Value) error { _, err := v.Decimal(); return err },
		"double\t":         func(v *xmlrpc.Value) error { return v.Decode(new(float32)) },
		"int ":             func(v *xmlrpc.Value) error { _, err := v.Decimal(); return err },
		"int\t":            func(v *xmlrpc.Value) error { return v.Decode(new(uint64)) },
		"boolean":          func(v *xmlrpc.Value) error { _, err := v.Bool(); return err },
		"dateTime.iso8601": func(v *xmlrpc.Value) error { _, err := v.Time(); return err },
	} {
		element = strings.TrimSpace(element)
		document := "<methodResponse><params><param><value><" + element + ">" + long + "</" + element +
			"></value></param></params></methodResponse>"
		start := time.Now()
		err := xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{}, read)
		require.Error(t, err, element)
		require.Less(t, len(err.Error()), 300, element)
		require.Less(t, time.Since(start), time.Second, element)
	}
}

func TestLiteral_reads_scalars_as_they_are_written(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"<i4> 7 </i4>": " 7 ", "<double>1e999</double>": "1e999", "<string>a&amp;b</string>": "a&b", "plain": "plain", "": "",
		"<boolean>2</boolean>": "2", "<base64>!</base64>": "!", "<nil/>": "", "<int/>": "",
	} {
		document := "<methodResponse><params><param><value>" + value + "</value></param></params></methodResponse>"
		err := xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{}, func(v *xmlrpc.Value) error {
			text, ok, err := v.Literal()
			require.True(t, ok, value)
			require.Equal(t, want, text)
			return err
		})
		require.NoError(t, err, value)
	}
	document := "<methodResponse><params><param><value><array><data><value><array><data></data></array></value><value>" +
		"<i4>1</i4></value></data></array></value></param></params></methodResponse>"
	var read []string
	require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(document), xmlrpc.DecodeOptions{},
		func(v *xmlrpc.Value) error {
			return v.Each(func(_ int, v *xmlrpc.Value) error {
				text, ok, err := v.Literal()
				read = append(read, fmt.Sprint(text, ok))
				return err
			})
		}))
	require.Equal(t, []string{"false", "1true"}, read)
}
