package billing

import (
	"fmt"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// OrderRow is an order as GetOrder_API returns it (facts/commerce.md 1.4), with what
// commerce.Order has no place for. Its texts are as Billing sent them. Times are seconds since 1970:
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
	// CurrencyID and CompletedDate come from newer versions only, whose rows have 19
	// columns: "" and Null in rows of 17. That the last one is CompletedDate is inferred.
	CurrencyID    string
	CompletedDate NullInt
}

const fewestColumns = 17

// read takes the columns that are known; a newer version may send more.
func (r *OrderRow) read(v *xmlrpc.Value) error {
	columns := 0
	*r = OrderRow{OrderID: Null, CompletedDate: Null}
	err := v.Each(func(i int, v *xmlrpc.Value) error {
		columns = i + 1
		return r.column(i, v)
	})
	switch {
	case err != nil:
		return err
	case columns < fewestColumns:
		return fmt.Errorf("the row has %d columns: GetOrder_API returns 17 or 19", columns)
	case r.OrderID == Null:
		return fmt.Errorf("the row has no OrderID")
	default:
		return nil
	}
}

func (r *OrderRow) column(i int, v *xmlrpc.Value) error {
	switch i {
	case 0:
		return integer(v, &r.OrderID)
	case 1:
		return text(v, &r.OrderNumber)
	case 2:
		return integer(v, &r.VendorAccountID)
	case 3:
		return integer(v, &r.CustomerID)
	case 4:
		return text(v, &r.OrderStatusID)
	case 5:
		return text(v, &r.OrderTypeID)
	case 6:
		return integer(v, &r.CreationTime)
	case 7:
		return integer(v, &r.OrderDate)
	case 8:
		return amount(v, &r.Total)
	case 9:
		return amount(v, &r.TaxTotal)
	case 10:
		return amount(v, &r.DiscountTotal)
	case 11:
		return amount(v, &r.MerchTotal)
	case 12:
		return text(v, &r.Comments)
	case 13:
		return integer(v, &r.ExpirationDate)
	case 14:
		return text(v, &r.PromoCode)
	case 15:
		return integer(v, &r.SalesBranchID)
	case 16:
		return integer(v, &r.SalesPersonID)
	case 17:
		return text(v, &r.CurrencyID)
	case 18:
		if v.Kind() != xmlrpc.Int {
			return nil // its meaning is inferred: nothing may fail because of it
		}
		return integer(v, &r.CompletedDate)
	default:
		return nil
	}
}

func integer(v *xmlrpc.Value, out *NullInt) error {
	if v.Kind() == xmlrpc.Nil {
		*out = Null
		return v.Nil()
	}
	n, err := v.Int64()
	*out = NullInt(n)
	return err
}

// text reads a string, which may come as base64 when it has letters outside ASCII.
func text(v *xmlrpc.Value, out *string) (err error) {
	switch v.Kind() {
	case xmlrpc.Nil:
		return v.Nil()
	case xmlrpc.Base64:
		content, err := v.Bytes()
		if err == nil && !utf8.Valid(content) {
			err = fmt.Errorf("the base64 is not UTF-8 text")
		}
		*out = string(content)
		return err
	default:
		*out, err = v.Text()
		return err
	}
}

func amount(v *xmlrpc.Value, out *decimal.Decimal) error {
	if v.Kind() == xmlrpc.Nil {
		return v.Nil()
	}
	d, err := v.Decimal()
	if err != nil {
		return err
	}
	const most = 100 // an exponent beyond makes a number of gigabytes when printed
	if e := d.Exponent(); e < -most || e > most {
		return fmt.Errorf("the amount has the exponent %d: it must be -%d to %d", e, most, most)
	}
	*out = d
	return nil
}

// order is the row in the type of the model.
func (c *Client) order(r *OrderRow) *commerce.Order {
	placed := r.OrderDate.Time()
	if c.placedAt == CreationTime || placed.IsZero() {
		placed = r.CreationTime.Time()
	}
	o := &commerce.Order{
		ID: r.OrderID.id(), BillingID: r.OrderID.id(), Number: r.OrderNumber,
		Type: commerce.OrderType(r.OrderTypeID), Status: commerce.Status(r.OrderStatusID),
		PlacedAt: placed,
		VendorID: r.VendorAccountID.id(), CustomerID: r.CustomerID.id(),
		Total: commerce.Money{Amount: r.Total, Currency: c.currencyOf(r)},
	}
	switch o.VendorID {
	case "":
	case c.provider:
		o.Channel = commerce.ChannelDirect
	default:
		o.Channel = commerce.ChannelReseller
	}
	return o
}

// currencyOf is "" when neither the row nor the user tells it.
func (c *Client) currencyOf(r *OrderRow) string {
	if r.CurrencyID != "" {
		return r.CurrencyID
	}
	return c.currency
}
