package billing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// OrderRow is an order as GetOrder_API returns it: 17 columns are documented, 19 are seen in
// public programs (commerce/WIRE.md#1.4). Texts are as Billing sent them, because they are
// signed: they may contain control characters and invalid UTF-8. Times are seconds since 1970,
// see [NullInt.Time].
type OrderRow struct {
	OrderID         NullInt
	OrderNumber     string // "SO000027"
	VendorAccountID NullInt
	CustomerID      NullInt
	OrderStatusID   string
	OrderTypeID     string
	CreationTime    NullInt
	OrderDate       NullInt
	Total           decimal.Decimal // exactly the digits that were sent
	TaxTotal        decimal.Decimal
	DiscountTotal   decimal.Decimal
	MerchTotal      decimal.Decimal // with taxes and discounts
	Comments        string
	ExpirationDate  NullInt
	PromoCode       string
	SalesBranchID   NullInt
	SalesPersonID   NullInt
	// CurrencyID and CompletedDate are only in the rows of 19 columns of newer versions; in
	// rows of 17 columns they are "" and Null. That the last one is CompletedDate is inferred.
	CurrencyID    string
	CompletedDate NullInt
	// Problems say which columns could not be read and why, one sentence each; these are
	// zero or [Null].
	Problems []string
}

const fewestColumns = 17

// columnNames are the names of the columns (commerce/WIRE.md#1.4).
var columnNames = [...]string{
	"OrderID", "OrderNumber", "VendorAccountID", "CustomerID", "OrderStatusID", "OrderTypeID", "CreationTime", "OrderDate",
	"Total", "TaxTotal", "DiscountTotal", "MerchTotal", "Comments", "ExpirationDate", "PromoCode", "SalesBranchID",
	"SalesPersonID", "CurrencyID", "CompletedDate",
}

// read decodes the known columns; a newer version may send more. Only a document that is not
// XML-RPC is an error; other defects become Problems.
func (r *OrderRow) read(v *xmlrpc.Value) error {
	*r = OrderRow{
		OrderID: Null, VendorAccountID: Null, CustomerID: Null, CreationTime: Null, OrderDate: Null,
		ExpirationDate: Null, SalesBranchID: Null, SalesPersonID: Null, CompletedDate: Null,
	}
	if kind := v.Kind(); kind != xmlrpc.Array {
		r.Problems = append(r.Problems, fmt.Sprintf("the row is not an array but %s", kind))
		return v.Skip()
	}
	columns := 0
	err := v.Each(func(i int, v *xmlrpc.Value) error {
		columns = i + 1
		if i >= len(columnNames) {
			return nil
		}
		c := cell{kind: v.Kind()}
		var err error
		if c.text, c.scalar, err = v.Literal(); err != nil {
			return err
		}
		if err := r.column(i, c); err != nil {
			r.Problems = append(r.Problems, columnNames[i]+" "+err.Error())
		}
		return nil
	})
	if columns < fewestColumns {
		r.Problems = append(r.Problems, fmt.Sprintf("the row has %d columns: GetOrder_API returns 17 or 19", columns))
	}
	if r.OrderID == Null {
		r.Problems = append(r.Problems, "the row has no OrderID")
	}
	return err
}

func (r *OrderRow) column(i int, c cell) error {
	switch i {
	case 0:
		return c.integer(&r.OrderID)
	case 1:
		return c.string(&r.OrderNumber)
	case 2:
		return c.integer(&r.VendorAccountID)
	case 3:
		return c.integer(&r.CustomerID)
	case 4:
		return c.string(&r.OrderStatusID)
	case 5:
		return c.string(&r.OrderTypeID)
	case 6:
		return c.time(&r.CreationTime)
	case 7:
		return c.time(&r.OrderDate)
	case 8:
		return c.amount(&r.Total)
	case 9:
		return c.amount(&r.TaxTotal)
	case 10:
		return c.amount(&r.DiscountTotal)
	case 11:
		return c.amount(&r.MerchTotal)
	case 12:
		return c.string(&r.Comments)
	case 13:
		return c.integer(&r.ExpirationDate)
	case 14:
		return c.string(&r.PromoCode)
	case 15:
		return c.integer(&r.SalesBranchID)
	case 16:
		return c.integer(&r.SalesPersonID)
	case 17:
		return c.string(&r.CurrencyID)
	default:
		if c.integer(&r.CompletedDate) != nil {
			r.CompletedDate = Null // its meaning is inferred: nothing may fail because of it
		}
		return nil
	}
}

// cell is one value of a row as it was sent.
type cell struct {
	kind   xmlrpc.Kind
	text   string
	scalar bool // it has a text
}

func (c cell) isNil() bool { return c.kind == xmlrpc.Nil && c.text == "" }

func (c cell) mismatch(want string) error {
	if !c.scalar {
		return fmt.Errorf("must be %s, not %s", want, c.kind)
	}
	return fmt.Errorf("must be %s, not the %s %q", want, c.kind, clip(c.text))
}

func (c cell) integer(out *NullInt) error {
	if c.isNil() {
		*out = Null
		return nil
	}
	if c.kind != xmlrpc.Int {
		return c.mismatch("an int")
	}
	n, err := number.ParseInt(strings.Trim(c.text, " \t\r\n"), 10, 64)
	if err != nil {
		return c.mismatch("an int of 64 bits")
	}
	*out = NullInt(n)
	return nil
}

// time decodes an integer that is a time.
func (c cell) time(out *NullInt) error {
	// The first second of the year 1 and the first of the year 10000: others cannot be
	// written in the usual form.
	const first, last = -62_135_596_800, 253_402_300_800
	var n NullInt
	if err := c.integer(&n); err != nil {
		return err
	}
	if n != Null && (n < first || n >= last) {
		return fmt.Errorf("%d is not in the years 1 to 9999", n)
	}
	*out = n
	return nil
}

// string decodes a text, which may be sent as base64 if it has non-ASCII letters.
func (c cell) string(out *string) error {
	switch {
	case c.isNil():
		return nil
	case c.kind == xmlrpc.String:
		*out = c.text
		return nil
	case c.kind != xmlrpc.Base64:
		return c.mismatch("a string")
	}
	content, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(c.text), ""))
	if err != nil || !utf8.Valid(content) {
		return errors.New("must be text, but its base64 is not UTF-8 text")
	}
	*out = string(content)
	return nil
}

func (c cell) amount(out *decimal.Decimal) error {
	if c.isNil() {
		return nil
	}
	if c.kind != xmlrpc.Double && c.kind != xmlrpc.Int {
		return c.mismatch("a double")
	}
	d, err := number.Decimal(strings.Trim(c.text, " \t\r\n"))
	if err != nil {
		return fmt.Errorf("must be an amount: %w", err)
	}
	*out = d
	return nil
}

// order converts a row to a commerce.Order.
func (c *Client) order(r *OrderRow) *commerce.Order {
	placed := r.OrderDate.Time()
	if c.placedAt == CreationTimeColumn || placed.IsZero() {
		placed = r.CreationTime.Time()
	}
	o := &commerce.Order{
		ID: r.OrderID.id(), BillingID: r.OrderID.id(), Number: xmlrpc.Display(r.OrderNumber),
		Type:            commerce.OrderType(xmlrpc.Display(r.OrderTypeID)),
		Status:          commerce.Status(xmlrpc.Display(r.OrderStatusID)),
		PlacedAt:        placed,
		VendorAccountID: r.VendorAccountID.id(), CustomerID: r.CustomerID.id(),
		Total:    commerce.Money{Amount: r.Total, Currency: xmlrpc.Display(c.currencyOf(r))},
		Problems: r.Problems,
	}
	switch o.VendorAccountID {
	case "":
	case c.provider:
		o.Channel = commerce.ChannelDirect
	default:
		o.Channel = commerce.ChannelReseller
	}
	return o
}

// currencyOf returns "" if neither the row nor an option has a currency.
func (c *Client) currencyOf(r *OrderRow) string {
	if r.CurrencyID != "" {
		return r.CurrencyID
	}
	return c.currency
}
