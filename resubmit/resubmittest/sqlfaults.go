package resubmittest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// Connector returns a connector for [sql.OpenDB] that injects the faults between database/sql and a driver. Statements
// for which isPush is true are pushes, and all others are reads. A transaction is one push, if it has such a statement,
// and fails when it is committed. A truncated response has half of the rows, and then the error.
//
//	faults := &resubmittest.FaultDriver{Errors: map[resubmittest.Fault]error{
//		resubmittest.FaultUnavailable:       &pgconn.PgError{Code: "57P01"}, // it is shutting down
//		resubmittest.FaultUnauthorized:      &pgconn.PgError{Code: "28P01"},
//		resubmittest.FaultResponseLost:      io.ErrUnexpectedEOF,
//		resubmittest.FaultResponseTruncated: io.ErrUnexpectedEOF,
//	}}
//	db := sql.OpenDB(faults.Connector(connector, func(query string) bool { return strings.HasPrefix(query, "UPDATE") }))
func (d *FaultDriver) Connector(c driver.Connector, isPush func(query string) bool) driver.Connector {
	return &faultConnector{Connector: c, faults: d, isPush: isPush}
}

type faultConnector struct {
	driver.Connector

	faults *FaultDriver
	isPush func(query string) bool
}

func (c *faultConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultConn{Conn: conn, connector: c}, nil
}

// faultConn has only the methods that database/sql needs, so that all statements are prepared.
type faultConn struct {
	driver.Conn

	connector *faultConnector
	tx        *faultTx // nil outside of a transaction
}

func (c *faultConn) PrepareContext(ctx context.Context, query string) (stmt driver.Stmt, err error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		stmt, err = p.PrepareContext(ctx, query)
	} else {
		stmt, err = c.Prepare(query)
	}
	if err != nil {
		return nil, err
	}
	return &faultStmt{Stmt: stmt, conn: c, push: c.connector.isPush(query)}, nil
}

func (c *faultConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	var tx driver.Tx
	var err error
	b, ok := c.Conn.(driver.ConnBeginTx)
	switch {
	case ok:
		tx, err = b.BeginTx(ctx, opts)
	case opts != driver.TxOptions{}:
		err = errors.New("the driver has no options for transactions")
	default:
		tx, err = c.Begin() // an old driver has no other method
	}
	if err != nil {
		return nil, err
	}
	c.tx = &faultTx{Tx: tx, conn: c, ctx: ctx}
	return c.tx, nil
}

// CheckNamedValue lets the driver convert the arguments, if it can.
func (c *faultConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type faultTx struct {
	driver.Tx

	conn *faultConn
	ctx  context.Context //nolint:containedctx // Commit has no other
	push bool            // it has one
}

func (t *faultTx) Commit() error {
	t.conn.tx = nil
	if !t.push {
		return t.Tx.Commit()
	}
	committed := false
	err := t.conn.connector.faults.Call(t.ctx, Pushes, func() error {
		committed = true
		return t.Tx.Commit()
	})
	if !committed {
		_ = t.Tx.Rollback() // err matters more
	}
	return err
}

func (t *faultTx) Rollback() error {
	t.conn.tx = nil
	return t.Tx.Rollback()
}

type faultStmt struct {
	driver.Stmt

	conn *faultConn
	push bool
}

// call makes the call of a statement.
func (s *faultStmt) call(ctx context.Context, call func() error) error {
	if s.push && s.conn.tx != nil {
		s.conn.tx.push = true
		return call()
	}
	return s.conn.connector.faults.Call(ctx, s.kind(), call)
}

func (s *faultStmt) kind() CallKind {
	if s.push {
		return Pushes
	}
	return Reads
}

func (s *faultStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	err = s.call(ctx, func() (err error) {
		if e, ok := s.Stmt.(driver.StmtExecContext); ok {
			result, err = e.ExecContext(ctx, args)
		} else {
			result, err = s.Exec(values(args)) // an old driver has no other method
		}
		return err
	})
	return result, err
}

func (s *faultStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	query := func() (err error) {
		if q, ok := s.Stmt.(driver.StmtQueryContext); ok {
			rows, err = q.QueryContext(ctx, args)
		} else {
			rows, err = s.Query(values(args)) // an old driver has no other method
		}
		return err
	}
	faults := s.conn.connector.faults
	if !s.push && faults.truncatesReads() {
		if err := query(); err != nil {
			return nil, err
		}
		return half(rows, faults.Errors[FaultResponseTruncated])
	}
	if err = s.call(ctx, query); err != nil && rows != nil {
		_ = rows.Close() // err matters more
	}
	return rows, err
}

// values returns the arguments for an old driver.
func values(args []driver.NamedValue) []driver.Value {
	all := make([]driver.Value, len(args))
	for i, a := range args {
		all[i] = a.Value
	}
	return all
}

// halfRows is the first half of some rows, after which there is an error.
type halfRows struct {
	columns []string
	rows    [][]driver.Value
	err     error
}

func half(all driver.Rows, err error) (driver.Rows, error) {
	h := &halfRows{columns: all.Columns(), err: err}
	for {
		row := make([]driver.Value, len(h.columns))
		err := all.Next(row)
		if errors.Is(err, io.EOF) {
			h.rows = h.rows[:len(h.rows)/2]
			return h, all.Close()
		}
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = bytes.Clone(b) // the driver may use it again
			}
		}
		h.rows = append(h.rows, row)
	}
}

func (h *halfRows) Columns() []string { return h.columns }

func (h *halfRows) Close() error { return nil }

func (h *halfRows) Next(to []driver.Value) error {
	if len(h.rows) == 0 {
		return h.err
	}
	copy(to, h.rows[0])
	h.rows = h.rows[1:]
	return nil
}
