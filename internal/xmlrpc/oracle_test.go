package xmlrpc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	kolo "github.com/kolo/xmlrpc"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// python is a running testdata/oracle.py.
type python struct {
	in  io.Writer
	out *bufio.Reader
}

// startPython returns nil where there is no python3. In CI there must be one.
func startPython(t *testing.T) *python {
	t.Helper()
	name, err := exec.LookPath("python3")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "python3 is needed in CI: %v", err)
		t.Logf("only the other oracle is asked: %v", err)
		return nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, "testdata/oracle.py")
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	return &python{in: in, out: bufio.NewReader(out)}
}

func (p *python) ask(t require.TestingT, request map[string]any, answer any) {
	line, err := json.Marshal(request)
	require.NoError(t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err)
	line, err = p.out.ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, answer))
}

// tagged is a value as JSON that keeps its type: [type, content].
func tagged(v any) any {
	switch v := v.(type) {
	case nil:
		return []any{"nil", ""}
	case bool:
		if v {
			return []any{"bool", "1"}
		}
		return []any{"bool", "0"}
	case int:
		return []any{"int", strconv.Itoa(v)}
	case *big.Int:
		return []any{"int", v.String()}
	case float64:
		return []any{"double", hex.EncodeToString(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))}
	case string:
		return []any{"string", v}
	case []byte:
		return []any{"base64", base64.StdEncoding.EncodeToString(v)}
	case time.Time:
		return []any{"time", v.Format("20060102T15:04:05")}
	case []any:
		cells := make([]any, len(v))
		for i := range v {
			cells[i] = tagged(v[i])
		}
		return []any{"array", cells}
	case map[string]any:
		members := make(map[string]any, len(v))
		for name := range v {
			members[name] = tagged(v[name])
		}
		return []any{"struct", members}
	default:
		return nil
	}
}

func TestPythonReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	p := startPython(t)
	if p == nil {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		in := values(alike{wide: true, null: true, cr: true}, 3).Draw(t, "value")
		body, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{Wide: xmlrpc.I8, Nil: true}, in)
		require.NoError(t, err)
		var got any
		p.ask(t, map[string]any{"loads": string(body)}, &got)
		require.Equal(t, tagged(in), got)
	})
}

func TestWeReadWhatPythonWrites(t *testing.T) {
	t.Parallel()
	p := startPython(t)
	if p == nil {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		in := values(alike{null: true}, 3).Draw(t, "value")
		var body string
		p.ask(t, map[string]any{"dumps": tagged(in)}, &body)
		var got any
		require.NoError(t, xmlrpc.DecodeResponse(strings.NewReader(body), xmlrpc.DecodeOptions{}, &got), body)
		require.Equal(t, tagged(in), tagged(got))
	})
}

func TestPythonReadsOurCallsAndFaults(t *testing.T) {
	t.Parallel()
	p := startPython(t)
	if p == nil {
		return
	}
	body, err := xmlrpc.EncodeCall(xmlrpc.EncodeOptions{}, "Execute",
		execute{Server: "BM", Method: "GetOrder_API", Params: []any{1000027}})
	require.NoError(t, err)
	var got any
	p.ask(t, map[string]any{"loads": string(body)}, &got)
	require.Equal(t, tagged(map[string]any{"Server": "BM", "Method": "GetOrder_API", "Params": []any{1000027}}), got)

	body, err = xmlrpc.EncodeFault(&xmlrpc.Fault{Code: -5, Message: "no <way>\r"})
	require.NoError(t, err)
	p.ask(t, map[string]any{"loads": string(body)}, &got)
	require.Equal(t, []any{"fault", []any{tagged(-5), tagged("no <way>\r")}}, got)
}

// forKolo is a value as kolo/xmlrpc gives it to an any: int64 for integers, the text
// of base64, and nothing for what is empty.
func forKolo(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case string:
		if v == "" {
			return nil
		}
		return v
	case []byte:
		return forKolo(base64.StdEncoding.EncodeToString(v))
	case []any:
		cells := []any{}
		for i := range v {
			cells = append(cells, forKolo(v[i]))
		}
		return cells
	case map[string]any:
		if len(v) == 0 {
			return map[string]any(nil)
		}
		members := make(map[string]any)
		for name := range v {
			members[name] = forKolo(v[name])
		}
		return members
	default:
		return v
	}
}

// koloCan draws what kolo/xmlrpc can carry: it has no empty names.
func koloCan() *rapid.Generator[any] {
	return values(alike{wide: true}, 3).Filter(func(v any) bool { return !emptyName(v) })
}

func emptyName(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, cell := range v {
			if emptyName(cell) {
				return true
			}
		}
	case map[string]any:
		for name, member := range v {
			if name == "" || emptyName(member) {
				return true
			}
		}
	}
	return false
}

func TestKoloReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := koloCan().Draw(t, "value")
		body, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{Wide: xmlrpc.I8}, in)
		require.NoError(t, err)
		var got any
		require.NoError(t, kolo.Response(body).Unmarshal(&got))
		require.Equal(t, forKolo(in), got)
	})
}

func TestWeReadWhatKoloWrites(t *testing.T) {
	t.Parallel()
	in := []any{1, -1, "", "a<b>&\n", 1.5, true, time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC), []any{"x", []any{}},
		kolo.Base64("eHk="), execute{
			Server: "BM", Method: "GetOrder_API", Params: []any{1000027},
		}}
	body, err := kolo.EncodeMethodCall("Execute", in)
	require.NoError(t, err)
	c, err := xmlrpc.DecodeCall(bytes.NewReader(body), xmlrpc.DecodeOptions{})
	require.NoError(t, err)
	in[8], in[9] = []byte("xy"), map[string]any{"Server": "BM", "Method": "GetOrder_API", "Params": []any{1000027}}
	require.Equal(t, xmlrpc.Call{Method: "Execute", Params: []any{in}}, c)
}
