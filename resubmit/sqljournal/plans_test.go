//go:build unix

package sqljournal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

// newPlan returns a plan without orders.
func newPlan(t *testing.T) *plan.Plan {
	t.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Header{
		CreatedAt: time.Now(), System: "test", View: rand.Text(), Filter: "everything()",
	})
	require.NoError(t, err)
	_, _, err = w.Close()
	require.NoError(t, err)
	p, err := plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return p
}

func TestPlans(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		p.journal(t)
		db := p.open(t)
		exec := func(t *testing.T, statement string, args ...any) {
			t.Helper()
			_, err := db.ExecContext(t.Context(), p.sql(statement), args...)
			require.NoError(t, err)
		}
		resubmittest.TestPlanStore(t, resubmittest.PlanStoreFixture{
			New: func(t *testing.T) plan.Store { return p.opened(t, p.open(t)).Plans() },
			Change: func(t *testing.T, digest string, signature bool, change func([]byte) []byte) {
				key, err := hex.DecodeString(digest[len("sha256:"):])
				require.NoError(t, err)
				if signature {
					var line []byte
					require.NoError(t, db.QueryRowContext(t.Context(),
						p.sql("SELECT signature FROM {plans} WHERE digest = ?"), key).Scan(&line))
					exec(t, "UPDATE {plans} SET signature = ? WHERE digest = ?", change(line), key)
					return
				}
				content := change(p.content(t, key))
				exec(t, "DELETE FROM {plan_pieces} WHERE digest = ?", key)
				if content == nil {
					exec(t, "DELETE FROM {plans} WHERE digest = ?", key)
					return
				}
				exec(t, "UPDATE {plans} SET size = ? WHERE digest = ?", len(content), key)
				for number := 0; len(content) > 0; number++ {
					n := min(len(content), 1<<20)
					exec(t, "INSERT INTO {plan_pieces} (digest, number, body) VALUES (?, ?, ?)", key, number, content[:n])
					content = content[n:]
				}
			},
		})
	})
}

// sql returns a statement of the dialect.
func (p place) sql(statement string) string {
	statement = strings.NewReplacer("{", p.Prefix, "}", "").Replace(statement)
	for i := 1; p.Dialect == sqljournal.PostgreSQL && strings.Contains(statement, "?"); i++ {
		statement = strings.Replace(statement, "?", "$"+strconv.Itoa(i), 1)
	}
	return statement
}

// content returns the content of a plan.
func (p place) content(t *testing.T, key []byte) (content []byte) {
	t.Helper()
	rows, err := p.open(t).QueryContext(t.Context(),
		p.sql("SELECT body FROM {plan_pieces} WHERE digest = ? ORDER BY number"), key)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var piece []byte
		require.NoError(t, rows.Scan(&piece))
		content = append(content, piece...)
	}
	require.NoError(t, rows.Err())
	return content
}

// TestPlansAreCompleteOrMissing checks a Put that ends after some pieces.
func TestPlansAreCompleteOrMissing(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		p.journal(t)
		w := newPlan(t)
		key, err := hex.DecodeString(w.Digest()[len("sha256:"):])
		require.NoError(t, err)
		for _, statement := range []string{
			"INSERT INTO {plans} (digest, size, stored_at) VALUES (?, -1, 0)",
			"INSERT INTO {plan_pieces} (digest, number, body) VALUES (?, 7, '')",
		} {
			_, err = p.open(t).ExecContext(t.Context(), p.sql(statement), key)
			require.NoError(t, err)
		}
		plans := p.opened(t, p.open(t)).Plans()
		_, err = plans.Open(t.Context(), w.Digest())
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, plans.Put(t.Context(), w))
		stored, err := plans.Open(t.Context(), w.Digest())
		require.NoError(t, err)
		require.NoError(t, stored.Close())
	})
}

func TestRetentionOfPlans(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		forever := p.journalOf(t, db, sqljournal.WithRetention(0)).Plans()
		plans := p.opened(t, db, sqljournal.WithRetention(24*time.Hour)).Plans()
		old, young := newPlan(t), newPlan(t)
		require.NoError(t, plans.Put(t.Context(), old))
		require.NoError(t, plans.Put(t.Context(), young))
		for w, age := range map[*plan.Plan]time.Duration{old: 25 * time.Hour, young: 23 * time.Hour} {
			key, err := hex.DecodeString(w.Digest()[len("sha256:"):])
			require.NoError(t, err)
			_, err = db.ExecContext(t.Context(), p.sql("UPDATE {plans} SET stored_at = ? WHERE digest = ?"),
				time.Now().Add(-age).UnixMicro(), key)
			require.NoError(t, err)
		}
		require.NoError(t, forever.Put(t.Context(), newPlan(t)))
		count := func() (rows, pieces int) {
			row := db.QueryRowContext(t.Context(), p.sql("SELECT (SELECT COUNT(*) FROM {plans}), COUNT(*) FROM {plan_pieces}"))
			require.NoError(t, row.Scan(&rows, &pieces))
			return rows, pieces
		}
		rows, pieces := count()
		require.Equal(t, []int{3, 3}, []int{rows, pieces})
		require.NoError(t, plans.Put(t.Context(), newPlan(t)))
		rows, pieces = count()
		require.Equal(t, []int{3, 3}, []int{rows, pieces})
		_, err := plans.Open(t.Context(), old.Digest())
		require.ErrorIs(t, err, fs.ErrNotExist)
		stored, err := plans.Open(t.Context(), young.Digest())
		require.NoError(t, err)
		require.NoError(t, stored.Close())
	})
}
