package resubmittest_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// The statements that the table understands.
const (
	selectAll = "SELECT id, number, type, status, placed, amount, currency FROM orders ORDER BY placed"
	selectOne = "SELECT id, number, type, status, placed, amount, currency FROM orders WHERE id = ?"
	updateOne = "UPDATE orders SET status = 'PD' WHERE id = ? AND status = 'PF'"
)

// table is a database of orders in memory, with a driver as small as database/sql allows.
type table struct {
	mu       sync.Mutex
	orders   []*commerce.Order
	accepted []resubmittest.Push
}

func (t *table) Connect(context.Context) (driver.Conn, error) { return &tableConn{table: t}, nil }
func (t *table) Driver() driver.Driver                        { return nil }

type tableConn struct {
	*table

	changes []func() // of the transaction
}

func (c *tableConn) Prepare(query string) (driver.Stmt, error) {
	return &tableStmt{tableConn: c, query: query}, nil
}
func (c *tableConn) Close() error              { return nil }
func (c *tableConn) Begin() (driver.Tx, error) { c.changes = nil; return c, nil }
func (c *tableConn) Rollback() error           { c.changes = nil; return nil }

func (c *tableConn) Commit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range c.changes {
		change()
	}
	return nil
}

type tableStmt struct {
	*tableConn

	query string
}

func (s *tableStmt) NumInput() int { return strings.Count(s.query, "?") }

// Exec moves an order when the transaction is committed, which locks its row until then.
func (s *tableStmt) Exec(args []driver.Value) (driver.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orders {
		if o.ID == args[0] && o.Status == commerce.StatusProvisioningFailed {
			s.changes = append(s.changes, func() {
				o.Status = commerce.StatusPaid
				s.accepted = append(s.accepted, resubmittest.Push{ID: o.ID, To: o.Status})
			})
			return driver.RowsAffected(1), nil
		}
	}
	return driver.RowsAffected(0), nil
}

func (s *tableStmt) Query(args []driver.Value) (driver.Rows, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found tableRows
	for _, o := range s.orders {
		if s.query == selectAll || o.ID == args[0] {
			found = append(found, []driver.Value{
				o.ID, o.Number, string(o.Type), string(o.Status), o.PlacedAt, []byte(o.Total.Amount.String()), o.Total.Currency,
			})
		}
	}
	slices.SortStableFunc(found, func(a, b []driver.Value) int { return a[4].(time.Time).Compare(b[4].(time.Time)) })
	return &found, nil
}

type tableRows [][]driver.Value

func (r *tableRows) Columns() []string {
	return []string{"id", "number", "type", "status", "placed", "amount", "currency"}
}
func (r *tableRows) Close() error { return nil }

func (r *tableRows) Next(to []driver.Value) error {
	if len(*r) == 0 {
		return io.EOF
	}
	copy(to, (*r)[0])
	*r = (*r)[1:]
	return nil
}

// sqlShop is an adapter for orders in a database.
type sqlShop struct {
	db    *sql.DB
	turns sync.Mutex // the table has no locks of rows
}

var errDown, errDenied = errors.New("the database is down"), errors.New("the password is wrong")

func sqlError(op string, d commerce.Delivery, err error) error {
	switch {
	case errors.Is(err, errDenied):
		err = fmt.Errorf("%w: %w", commerce.ErrUnauthorized, err)
	case errors.Is(err, errDown), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, err)
	}
	return &commerce.Error{Op: op, Delivery: d, Err: err}
}

func scan(row interface{ Scan(to ...any) error }) (*commerce.Order, error) {
	var o commerce.Order
	var amount string
	if err := row.Scan(&o.ID, &o.Number, &o.Type, &o.Status, &o.PlacedAt, &amount, &o.Total.Currency); err != nil {
		return nil, err
	}
	var err error
	o.Total.Amount, err = decimal.NewFromString(amount)
	return &o, err
}

func (s *sqlShop) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := s.list(ctx, q, func(o *commerce.Order) bool { return yield(o, nil) }); err != nil {
			yield(nil, sqlError("list orders", "", err))
		}
	}
}

func (s *sqlShop) list(ctx context.Context, q commerce.Query, yield func(*commerce.Order) bool) error {
	if q.Account != "" {
		return errors.New("there are no accounts")
	}
	rows, err := s.db.QueryContext(ctx, selectAll)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var found []*commerce.Order
	for rows.Next() {
		o, err := scan(rows)
		if err != nil {
			return err
		}
		if q.Match(o) {
			found = append(found, o)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(found)
	}
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	for _, o := range found {
		if ctx.Err() != nil || !yield(o) {
			return ctx.Err()
		}
	}
	return nil
}

func (s *sqlShop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := scan(s.db.QueryRowContext(ctx, selectOne, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = commerce.ErrNotFound
	}
	if err != nil {
		return nil, sqlError("read order", "", err)
	}
	return o, nil
}

func (s *sqlShop) Push(ctx context.Context, id string, to commerce.Status) error {
	s.turns.Lock()
	defer s.turns.Unlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return sqlError("begin a push", commerce.DeliveryNotSent, err)
	}
	result, err := tx.ExecContext(ctx, updateOne, id)
	if err != nil {
		return sqlError("push order", commerce.DeliveryRefused, errors.Join(err, tx.Rollback()))
	}
	if moved, err := result.RowsAffected(); err != nil || moved != 1 || to != commerce.StatusPaid {
		return sqlError("push order", commerce.DeliveryRefused, errors.Join(commerce.ErrConflict, err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return sqlError("commit a push", commerce.DeliveryUnknown, err)
	}
	return nil
}

func sqlErrors() map[resubmittest.Fault]error {
	return map[resubmittest.Fault]error{
		resubmittest.FaultUnavailable: errDown, resubmittest.FaultUnauthorized: errDenied,
		resubmittest.FaultResponseLost: io.ErrUnexpectedEOF, resubmittest.FaultResponseReplaced: errDown,
		resubmittest.FaultResponseTruncated: io.ErrUnexpectedEOF,
	}
}

// newSQLShop makes an empty database and its adapter.
func newSQLShop(t testing.TB) (*sqlShop, resubmittest.System) {
	t.Helper()
	tab, faults := &table{}, &resubmittest.FaultDriver{Errors: sqlErrors()}
	shop := &sqlShop{
		db: sql.OpenDB(faults.Connector(tab, func(query string) bool { return strings.HasPrefix(query, "UPDATE") })),
	}
	t.Cleanup(func() { require.NoError(t, shop.db.Close()) })
	return shop, resubmittest.System{
		Lister: func(testing.TB, []string) resubmit.OrderLister { return shop }, Reader: shop, Pusher: shop,
		Inject: faults.Inject,
		AddOrder: func(_ testing.TB, n resubmittest.OrderSpec) *commerce.Order {
			tab.mu.Lock()
			defer tab.mu.Unlock()
			o := &commerce.Order{ID: n.ID, Number: fmt.Sprint("N", len(tab.orders)), Type: n.Type, Status: n.Status,
				PlacedAt: n.PlacedAt, Total: n.Total}
			if o.ID == "" {
				o.ID = "id of " + o.Number
			}
			tab.orders = append(tab.orders, o)
			return new(*o)
		},
		CancelOrder: func(_ testing.TB, id string) {
			tab.mu.Lock()
			defer tab.mu.Unlock()
			for _, o := range tab.orders {
				if o.ID == id {
					o.Status = commerce.StatusCancelled
				}
			}
		},
		Ledger: func() resubmittest.Ledger {
			tab.mu.Lock()
			defer tab.mu.Unlock()
			return resubmittest.Ledger{Received: faults.Pushes(), Accepted: slices.Clone(tab.accepted)}
		},
	}
}

func sqlFixture() resubmittest.Fixture {
	return resubmittest.Fixture{
		MissingID: "no such order", Faults: (&resubmittest.FaultDriver{Errors: sqlErrors()}).Faults(),
		New: func(t testing.TB) resubmittest.System {
			t.Helper()
			_, system := newSQLShop(t)
			return system
		},
	}
}

func TestSuitesWithDatabase(t *testing.T) {
	t.Parallel()
	f := sqlFixture()
	require.Len(t, f.Faults, 6)
	t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, f) })
	t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, f) })
	t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, f) })
}

// TestFaultDriverTruncatesRows checks that rows end with an error, which adapters often forget to ask for.
func TestFaultDriverTruncatesRows(t *testing.T) {
	t.Parallel()
	shop, system := newSQLShop(t)
	for range 5 {
		system.AddOrder(t, resubmittest.OrderSpec{Status: commerce.StatusProvisioningFailed})
	}
	stop := system.Inject(t, resubmittest.FaultResponseTruncated, resubmittest.Reads)
	rows, err := shop.db.QueryContext(t.Context(), selectAll)
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		_, err := scan(rows)
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 2, n)
	require.ErrorIs(t, rows.Err(), io.ErrUnexpectedEOF)
	require.NoError(t, rows.Close())
	stop()
	orders := 0
	for _, err := range shop.Orders(t.Context(), commerce.Query{}) {
		require.NoError(t, err)
		orders++
	}
	require.Equal(t, 5, orders)
}

// TestFaultDriverFailsCommits checks that a push in a transaction is done or not as the fault says, outside of one too.
func TestFaultDriverFailsCommits(t *testing.T) {
	t.Parallel()
	for fault, moved := range map[resubmittest.Fault]int{
		resubmittest.FaultUnavailable: 0, resubmittest.FaultUnauthorized: 0,
		resubmittest.FaultResponseLost: 1, resubmittest.FaultResponseTruncated: 1,
	} {
		shop, system := newSQLShop(t)
		o := system.AddOrder(t, resubmittest.OrderSpec{Status: commerce.StatusProvisioningFailed})
		stop := system.Inject(t, fault, resubmittest.Pushes)
		require.ErrorIs(t, shop.Push(t.Context(), o.ID, commerce.StatusPaid), sqlErrors()[fault])
		ledger := system.Ledger()
		require.Equal(t, 1, ledger.Received, fault)
		require.Len(t, ledger.Accepted, moved, fault)
		_, err := shop.db.ExecContext(t.Context(), updateOne, o.ID)
		require.ErrorIs(t, err, sqlErrors()[fault], "without a transaction")
		stop()
		_, err = shop.db.ExecContext(t.Context(), updateOne, o.ID)
		require.NoError(t, err)
		require.Equal(t, 3, system.Ledger().Received, fault)
	}
}

func TestLateStopEndsOnlyItsOwnFault(t *testing.T) {
	t.Parallel()
	d := &resubmittest.FaultDriver{Errors: sqlErrors()}
	call := func() error { return d.Call(t.Context(), resubmittest.Reads, func() error { return nil }) }
	first := d.Inject(t, resubmittest.FaultUnavailable, resubmittest.Reads)
	require.ErrorIs(t, call(), errDown)
	second := d.Inject(t, resubmittest.FaultUnauthorized, resubmittest.Reads)
	first()
	first()
	require.ErrorIs(t, call(), errDenied)
	second()
	require.NoError(t, call())
}
