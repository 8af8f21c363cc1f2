package xmlrpc_test

import (
	"bytes"
	"testing"

	kolo "github.com/kolo/xmlrpc"
	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

const benchRows = 5000

// row is an order as GetOrder_API gives it: commerce/WIRE.md#1.4.
type row struct {
	ID, Vendor, Customer         int
	Number, Status, Type         string
	Created, Ordered             int64
	Total, Tax, Discount, Merch  decimal.Decimal
	Comments, Promo, Currency    string
	Expires, Completed           int64
	SalesBranchID, SalesPersonID int
}

func (o *row) cell(i int, v *xmlrpc.Value) (err error) {
	switch i {
	case 0:
		o.ID, err = v.Int()
	case 1:
		o.Number, err = v.Text()
	case 2:
		o.Vendor, err = v.Int()
	case 3:
		o.Customer, err = v.Int()
	case 4:
		o.Status, err = v.Text()
	case 5:
		o.Type, err = v.Text()
	case 6:
		o.Created, err = v.Int64()
	case 7:
		o.Ordered, err = v.Int64()
	case 8:
		o.Total, err = v.Decimal()
	case 9:
		o.Tax, err = v.Decimal()
	case 10:
		o.Discount, err = v.Decimal()
	case 11:
		o.Merch, err = v.Decimal()
	case 12:
		o.Comments, err = v.Text()
	case 13:
		o.Expires, err = v.Int64()
	case 14:
		o.Promo, err = v.Text()
	case 15:
		o.SalesBranchID, err = v.Int()
	case 16:
		o.SalesPersonID, err = v.Int()
	case 17:
		o.Currency, err = v.Text()
	case 18:
		o.Completed, err = v.Int64()
	}
	return err
}

// rowsOf reads an array of arrays by the position of the cells.
func rowsOf[T any](v *xmlrpc.Value, cell func(row *T, i int, v *xmlrpc.Value) error) (rows []T, err error) {
	err = v.Each(func(_ int, v *xmlrpc.Value) error {
		rows = append(rows, *new(T))
		return v.Each(func(i int, v *xmlrpc.Value) error { return cell(&rows[len(rows)-1], i, v) })
	})
	return rows, err
}

func orderRows(b *testing.B) []byte {
	b.Helper()
	rows := make([]any, benchRows)
	for i := range rows {
		rows[i] = []any{
			1000000 + i, "SO000027", 1000001, 1000002 + i, "PF", "SO", 1700000000 + i, 1700000000 + i,
			decimal.New(int64(123450+i), -2), decimal.New(1250, -2), decimal.New(0, -2), decimal.New(13995, -2),
			"Sales order for Acme & Sons, Zażółć", 1800000000, "", 1, 2, "USD", 1700000000,
		}
	}
	body, err := xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{}, map[string]any{"Result": rows})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func BenchmarkDecodeRows(b *testing.B) {
	body := orderRows(b)
	check := func(b *testing.B, n int, err error) {
		b.Helper()
		if err != nil || n != benchRows {
			b.Fatal(n, err)
		}
	}
	b.Run("positional", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var rows []row
			err := xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, func(v *xmlrpc.Value) error {
				return v.Members(func(name string, v *xmlrpc.Value) (err error) {
					if name == "Result" {
						rows, err = rowsOf(v, (*row).cell)
					}
					return err
				})
			})
			check(b, len(rows), err)
		}
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out struct{ Result [][]any }
			err := xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, &out)
			check(b, len(out.Result), err)
		}
	})
	b.Run("any", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out any
			err := xmlrpc.DecodeResponse(bytes.NewReader(body), xmlrpc.DecodeOptions{}, &out)
			check(b, len(out.(map[string]any)["Result"].([]any)), err)
		}
	})
	b.Run("kolo", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out struct{ Result [][]any }
			err := kolo.Response(body).Unmarshal(&out)
			check(b, len(out.Result), err)
		}
	})
}
