package orderlist

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// FromRows returns a Lister of the rows of an SQL query. Each list executes it again. Values may be texts, bytes,
// integers, times or NULL; cast others, such as numbers with a point, to text.
func FromRows(query func(ctx context.Context) (*sql.Rows, error), opts ...Option) *Lister {
	return newLister(func(ctx context.Context) iter.Seq2[[]any, error] {
		return func(yield func([]any, error) bool) {
			if err := readRows(ctx, query, yield); err != nil {
				yield(nil, queryError(err))
			}
		}
	}, opts)
}

// readRows yields the rows until yield returns false.
func readRows(
	ctx context.Context, query func(ctx context.Context) (*sql.Rows, error), yield func([]any, error) bool,
) error {
	rows, err := query(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says more
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	header, values, into := make([]any, len(names)), make([]any, len(names)), make([]any, len(names))
	for i, name := range names {
		header[i], into[i] = name, &values[i]
	}
	if !yield(header, nil) {
		return nil
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			values[i] = plain(v)
		}
		if !yield(values, nil) {
			return nil
		}
	}
	return rows.Err()
}

// plain returns a value of a driver as a text or a time, if it is one.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return v.UTC()
	default:
		return v
	}
}

// queryError says whether the database could not be reached.
func queryError(err error) error {
	_, network := errors.AsType[net.Error](err)
	_, system := errors.AsType[syscall.Errno](err)
	if network || system || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, err)
	}
	return fmt.Errorf("query the database: %w", err)
}
