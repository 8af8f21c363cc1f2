//go:build unix

package sqljournal_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/orderlist"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

// billingTool keeps its failed orders in a table.
type billingTool struct {
	place  place
	db     *sql.DB
	table  string
	faults resubmittest.FaultDriver
}

func newBillingTool(t testing.TB, d sqljournal.Dialect) *billingTool {
	t.Helper()
	p := placeFor(t, d, t.TempDir())
	b := &billingTool{place: p, db: p.open(t), table: p.Prefix + "orders", faults: resubmittest.FaultDriver{
		Errors: map[resubmittest.Fault]error{
			resubmittest.FaultUnavailable:       syscall.ECONNREFUSED,
			resubmittest.FaultResponseLost:      io.ErrUnexpectedEOF,
			resubmittest.FaultResponseTruncated: io.ErrUnexpectedEOF,
		},
	}}
	types := map[sqljournal.Dialect][2]string{
		sqljournal.PostgreSQL: {"timestamptz", "numeric(20, 2)"}, sqljournal.MariaDB: {"datetime", "decimal(20, 2)"},
		sqljournal.SQLite: {"text", "text"},
	}[d]
	_, err := b.db.ExecContext(t.Context(), fmt.Sprintf(`CREATE TABLE %s (nr integer, id varchar(100) PRIMARY KEY,
		type char(2), status char(2), placed %s, amount %s, currency char(3), failure text)`, b.table, types[0], types[1]))
	require.NoError(t, err)
	return b
}

// exec executes a statement with parameters that are written as ?.
func (b *billingTool) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	for i := range args {
		if b.place.Dialect == sqljournal.PostgreSQL {
			statement = strings.Replace(statement, "?", fmt.Sprint("$", i+1), 1)
		}
	}
	_, err := b.db.ExecContext(context.Background(), statement, args...)
	require.NoError(t, err)
}

func (b *billingTool) add(t testing.TB, spec resubmittest.OrderSpec) *commerce.Order {
	t.Helper()
	var n int
	require.NoError(t, b.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+b.table).Scan(&n))
	o := &commerce.Order{
		ID: spec.ID, Number: fmt.Sprint(n), Type: spec.Type, Status: spec.Status, PlacedAt: spec.PlacedAt, Total: spec.Total,
	}
	if o.ID == "" {
		o.ID = fmt.Sprint("id-", n)
	}
	if spec.Failure != "" {
		o.Failure.Messages = map[string]string{"en_US": spec.Failure}
	}
	layout := time.DateTime
	if b.place.Dialect != sqljournal.MariaDB {
		layout = time.RFC3339
	}
	b.exec(t, "INSERT INTO "+b.table+" VALUES (?, ?, ?, ?, ?, ?, ?, ?)", n, o.ID, string(o.Type), string(o.Status),
		o.PlacedAt.UTC().Format(layout), o.Total.Amount.StringFixed(2), o.Total.Currency, spec.Failure)
	return o
}

func (b *billingTool) cancel(t testing.TB, id string) {
	t.Helper()
	b.exec(t, "UPDATE "+b.table+" SET status = 'CL', failure = NULL WHERE id = ?", id)
}

func (b *billingTool) lister(t testing.TB, _ []string) resubmit.OrderLister {
	t.Helper()
	db := sql.OpenDB(b.faults.Connector(connectorOf(b.place), func(string) bool { return false }))
	t.Cleanup(func() { _ = db.Close() })
	opts := []orderlist.Option{orderlist.WithColumn("number", "nr"), orderlist.WithColumn("placed_at", "placed")}
	if b.place.Dialect == sqljournal.MariaDB {
		opts = append(opts, orderlist.WithTimeLayout(time.DateTime, time.UTC))
	}
	return orderlist.FromRows(func(ctx context.Context) (*sql.Rows, error) {
		return db.QueryContext(ctx, "SELECT * FROM "+b.table)
	}, opts...)
}

func TestOrderRows(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			resubmittest.TestLister(t, resubmittest.Fixture{
				New: func(t testing.TB) resubmittest.System {
					b := newBillingTool(t, d)
					return resubmittest.System{
						AddOrder: b.add, CancelOrder: b.cancel, Lister: b.lister, Inject: b.faults.Inject,
					}
				},
				MissingID: "none", Capabilities: commerce.Capabilities{Failure: true},
				Faults: []resubmittest.Fault{
					resubmittest.FaultUnavailable, resubmittest.FaultResponseLost, resubmittest.FaultResponseTruncated,
					resubmittest.FaultResponseDelayed,
				},
			})
		})
	}
}

func TestOrderRowErrors(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		for query, want := range map[string]string{
			"SELECT 1 AS id, 'PF' AS status UNION ALL SELECT NULL, 'PF'": "row 2, column id: it is empty",
			"SELECT 1 AS id, 'PF' AS status, 'x' AS placed_at":           `row 1, column placed_at: "x" is not a time`,
			"SELECT 1 AS id, 'PF' AS status, 2 AS surprise":              `the column "surprise" is unknown`,
			"SELECT nothing FROM nowhere":                                "query the database: ",
		} {
			lister := orderlist.FromRows(func(ctx context.Context) (*sql.Rows, error) { return db.QueryContext(ctx, query) })
			for o, err := range lister.Orders(t.Context(), commerce.Query{}) {
				require.Nil(t, o)
				require.ErrorContains(t, err, want)
				require.NotErrorIs(t, err, commerce.ErrUnavailable)
			}
		}
	})
}
