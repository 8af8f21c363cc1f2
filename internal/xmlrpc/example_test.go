package xmlrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// order is a row that is read by position: what is not named is skipped.
type order struct {
	ID     int
	Number string
	Status string
	Total  decimal.Decimal
}

func (o *order) cell(i int, v *xmlrpc.Value) (err error) {
	switch i {
	case 0:
		o.ID, err = v.Int()
	case 1:
		o.Number, err = v.Text()
	case 4:
		o.Status, err = v.Text()
	case 8:
		o.Total, err = v.Decimal()
	}
	return err
}

// A Billing that knows one order, and a client that reads it.
func ExampleClient_Call() {
	server := httptest.NewServer(served(
		func(_ context.Context, c xmlrpc.Call) (any, error) {
			if len(c.Params) != 1 {
				return nil, &xmlrpc.Fault{Code: 1, Message: "Execute takes one struct"}
			}
			row := []any{1000027, "SO000027", 1, 1000002, "PF", "SO", 1700000000, 1700000000, decimal.RequireFromString("12.50")}
			return map[string]any{"Result": []any{row}}, nil
		}))
	defer server.Close()
	c, err := rest.New(rest.Config{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	billing := &xmlrpc.Client{HTTP: c, Path: "RPC2"}

	var orders []order
	err = billing.Call(context.Background(), "read order", rest.Read, "Execute", func(v *xmlrpc.Value) error {
		return v.Members(func(name string, v *xmlrpc.Value) (err error) {
			if name == "Result" {
				orders, err = rowsOf(v, (*order).cell)
			}
			return err
		})
	}, map[string]any{"Server": "BM", "Method": "GetOrder_API", "Params": []any{1000027}})
	fmt.Println(orders, err)

	err = billing.Call(context.Background(), "read order", rest.Read, "Execute", nil)
	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		fmt.Println(f.Code, f.Message)
	}
	// Output:
	// [{1000027 SO000027 PF 12.5}] <nil>
	// 1 Execute takes one struct
}

func ExampleDecodeResponse() {
	body := strings.NewReader(`<methodResponse><params><param><value><struct>
		<member><name>status</name><value><int>0</int></value></member>
		<member><name>result</name><value><struct>
			<member><name>aps_token</name><value><string>made-up</string></value></member>
		</struct></value></member>
	</struct></value></param></params></methodResponse>`)
	var out struct {
		Status int `xmlrpc:"status"`
		Result struct {
			Token string `xmlrpc:"aps_token"`
		} `xmlrpc:"result"`
	}
	err := xmlrpc.DecodeResponse(body, xmlrpc.DecodeOptions{}, &out)
	fmt.Println(out.Status, out.Result.Token, err)

	err = xmlrpc.DecodeResponse(strings.NewReader("<html>"), xmlrpc.DecodeOptions{}, &out)
	fmt.Println(err)
	// Output:
	// 0 made-up <nil>
	// xmlrpc: byte 0: expected <methodResponse>, found <html>: is the URL right, or is a maintenance page being served?
}
