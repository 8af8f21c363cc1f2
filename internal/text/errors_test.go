package text_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// exportedErrors are all exported error types, by package and name.
var exportedErrors = map[string]error{
	"callback.PanicError":       &callback.PanicError{},
	"commerce.Error":            &commerce.Error{},
	"commerce.Fault":            &commerce.Fault{},
	"connect.Error":             &connect.Error{},
	"maintenance.SourceWarning": &maintenance.SourceWarning{},
	"ical.Error":                &ical.Error{},
	"jsonfile.Error":            &jsonfile.Error{},
	"jsonfile.VersionError":     &jsonfile.VersionError{},
	"durable.LockedError":       &durable.LockedError{},
	"journal.CorruptError":      &journal.CorruptError{},
	"rest.Error":                &rest.Error{},
	"resubmit.ConflictError":    &resubmit.ConflictError{},
	"resubmit.NotPlannedError":  &resubmit.NotPlannedError{},
	"resubmit.TooEarlyError":    &resubmit.TooEarlyError{},
	"state.ApprovalError":       &state.ApprovalError{},
	"xmlrpc.Error":              &xmlrpc.Error{},
	"xmlrpc.Fault":              &xmlrpc.Fault{},
}

func TestEveryExportedErrorType(t *testing.T) {
	t.Parallel()
	require.Equal(t, slices.Sorted(maps.Keys(exportedErrors)), declaredErrors(t))
	for name, zero := range exportedErrors {
		t.Run(name+" shows no hostile text", func(t *testing.T) {
			t.Parallel()
			for what, h := range hostile {
				err := filled(zero, "a"+h+"b")
				requireShown(t, err.Error())
				if name != "resubmit.TooEarlyError" && name != "jsonfile.VersionError" { // they have no text
					require.Contains(t, err.Error(), "a\ufffd", what)
				}
			}
		})
		t.Run(name+" is short", func(t *testing.T) {
			t.Parallel()
			require.Less(t, len(filled(zero, strings.Repeat("x", 1<<20)).Error()), 16<<10)
		})
	}
}

// filled is an error of a type with a text in each of its fields.
func filled(zero error, text string) error {
	v := reflect.New(reflect.TypeOf(zero).Elem())
	fill(v.Elem(), text)
	err, _ := v.Interface().(error)
	return err
}

func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(text))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New(text)))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	}
}

// declaredErrors reads from the source which exported types have a method Error.
func declaredErrors(t *testing.T) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Error" || f.Type.Results == nil || len(f.Type.Params.List) > 0 {
				continue
			}
			receiver := f.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			if name, ok := receiver.(*ast.Ident); ok && name.IsExported() {
				found = append(found, file.Name.Name+"."+name.Name)
			}
		}
		return nil
	}))
	slices.Sort(found)
	return found
}

// hostileAnswer is what a server answers.
type hostileAnswer struct {
	status int
	header map[string]string
	body   string
}

// answersWith are answers with a text in whatever place of them an error may show.
func answersWith(text string) map[string]hostileAnswer {
	quoted, _ := json.Marshal(text) // escaped for JSON, and no longer when it is read
	s := string(quoted)
	fault := fmt.Sprintf(
		`<?xml version="1.0"?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>5</int>`+
			`</value>`+
			`</member><member><name>faultString</name><value><string>%s</string></value></member></struct></value></fault>`+
			`</methodResponse>`, text)
	object := fmt.Sprintf(
		`{"error":%[1]s,"type":%[1]s,"message":%[1]s,"error_code":%[1]s,"errors":[%[1]s],"code":%[1]s,"id":%[1]s,`+
			`"orderNumber":%[1]s,"status":%[1]s}`, s)
	return map[string]hostileAnswer{
		"error object":        {400, nil, object},
		"conflict":            {409, nil, object},
		"refused credentials": {401, nil, object},
		"text":                {400, nil, text},
		"page":                {502, nil, "<html>" + text},
		"good status, text":   {200, nil, text},
		"good status, object": {200, nil, object},
		"odd row": {200, nil,
			fmt.Sprintf(`[{"id":%[1]s,"orderNumber":%[1]s,"orderDate":%[1]s,"status":{"code":%[1]s}}]`, s)},
		"odd rows": {200, nil,
			fmt.Sprintf(`{"data":[{"id":%[1]s,"orderNumber":%[1]s,"orderDate":%[1]s,"created":%[1]s}]}`, s)},
		"correlation":  {500, map[string]string{"X-Correlation-ID": text, "Connect-Version": text}, `{}`},
		"redirect":     {302, map[string]string{"Location": "/" + text}, text},
		"odd redirect": {302, map[string]string{"Location": "http://[" + text}, text},
		"content type": {200, map[string]string{"Content-Type": text, "Content-Range": text}, text},
		"fault":        {200, map[string]string{"Content-Type": "text/xml"}, fault},
		"no document":  {200, map[string]string{"Content-Type": "text/xml"}, "<methodResponse><" + text + ">"},
	}
}

func TestNoClientShowsHostileText(t *testing.T) {
	t.Parallel()
	failed := map[string]int{}
	var mu sync.Mutex
	t.Run("clients", func(t *testing.T) {
		for _, what := range []string{"ESC", "DEL", "CSI as C1", "C1 as a byte", "right-to-left override",
			"zero-width joiner"} {
			h := hostile[what]
			for kind, answer := range answersWith("a" + h + "[31mb") {
				t.Run(kind+" with "+what, func(t *testing.T) {
					t.Parallel()
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						for key, value := range answer.header {
							w.Header()[key] = []string{value}
						}
						w.WriteHeader(answer.status)
						_, _ = w.Write([]byte(answer.body))
					}))
					defer server.Close()
					var logged bytes.Buffer
					for call, err := range errorsOf(t, server, &logged) {
						if err != nil {
							requireShown(t, err.Error())
							mu.Lock()
							failed[call]++
							mu.Unlock()
						}
					}
					requireShown(t, strings.ReplaceAll(logged.String(), "\n", ""))
				})
			}
		}
	})
	require.Len(t, failed, 11, "each call fails for some answer")
	for call, n := range failed {
		require.Greater(t, n, 6, call)
	}
}

// errorsOf makes each call of each client.
func errorsOf(t *testing.T, server *httptest.Server, logged *bytes.Buffer) iter.Seq2[string, error] {
	t.Helper()
	logger := slog.New(slog.NewJSONHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := server.Client()
	om, err := ordermanager.New(server.URL, ordermanager.Token("token-of-the-test"), ordermanager.WithHTTPClient(h),
		ordermanager.WithLogger(logger), ordermanager.WithMaxTries(1))
	require.NoError(t, err)
	simple, err := simpleapi.New(server.URL, simpleapi.Token("subscription-key", "token-of-the-test"),
		simpleapi.WithHTTPClient(h), simpleapi.WithLogger(logger), simpleapi.WithMaxTries(1))
	require.NoError(t, err)
	bill, err := billing.New(server.URL, billing.Basic("user", "password-of-the-test"), billing.WithHTTPClient(h),
		billing.WithLogger(logger), billing.WithMaxTries(1))
	require.NoError(t, err)
	conn, err := connect.New(server.URL, connect.APIKey("SU-123-456-789:secret-of-the-test"), connect.WithHTTPClient(h),
		connect.WithLogger(logger), connect.WithMaxTries(1))
	require.NoError(t, err)
	ctx := t.Context()
	return func(yield func(string, error) bool) {
		for call, f := range map[string]func() error{
			"ordermanager list": func() error { return lastError(om.Orders(ctx, commerce.FailedOrdersView().Query())) },
			"ordermanager read": func() error { _, err := om.Order(ctx, "1"); return err },
			"ordermanager push": func() error { return om.Push(ctx, "1", commerce.StatusProvisioning) },
			"simpleapi list":    func() error { return lastError(simple.Orders(ctx, commerce.FailedOrdersView().Query())) },
			"simpleapi read":    func() error { _, err := simple.Order(ctx, "1"); return err },
			"simpleapi push":    func() error { return simple.Push(ctx, "1", commerce.StatusProvisioning) },
			"billing read":      func() error { _, err := bill.Order(ctx, "1"); return err },
			"billing push":      func() error { return bill.Push(ctx, "1", commerce.StatusProvisioning) },
			"connect list":      func() error { return lastError(conn.Requests(ctx, connect.RequestQuery{})) },
			"connect look-up": func() error {
				_, err := conn.LatestRequests(ctx, []connect.RequestKey{{SubscriptionID: "1", Type: connect.TypePurchase}})
				return err
			},
			"connect probe": func() error { return probeError(ctx, conn) },
		} {
			if !yield(call, f()) {
				return
			}
		}
	}
}

func probeError(ctx context.Context, c *connect.Client) error {
	probe, err := c.Probe(ctx)
	return errors.Join(err, probe.Err)
}

func lastError[T any](rows iter.Seq2[T, error]) (last error) {
	for _, err := range rows {
		last = err
	}
	return last
}
