//go:build unix

package sqljournal_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

// grants returns the privileges that doc.go names, for the tables of a place.
func grants(t *testing.T, p place, user string) (statements []string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if grant, ok := strings.CutPrefix(line, "//\tGRANT "); ok {
			grant = strings.NewReplacer("cloudblue_", p.Prefix, "TO resubmit;\n", "TO "+user).Replace(grant)
			statements = append(statements, "GRANT "+grant)
		}
	}
	require.Len(t, statements, 7)
	return statements
}

// userOf makes a user with the given privileges, and returns the place as this user sees it.
func userOf(t *testing.T, p place, suffix string, grants func(user string) []string) place {
	t.Helper()
	db := p.open(t)
	name := p.Prefix + suffix
	create := "CREATE ROLE " + name + " LOGIN"
	if p.Dialect == sqljournal.MariaDB {
		create = "CREATE USER " + name
	}
	for _, statement := range append([]string{create}, grants(name)...) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	s := servers[p.Dialect]
	p.DSN = s.dsn(s.start(t), name, s.database(t))
	return p
}

func TestPrivileges(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		if d == sqljournal.SQLite {
			continue // has no users
		}
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			p := placeFor(t, d, t.TempDir())
			p.journal(t)
			j := p.opened(t, userOf(t, p, "w", func(user string) []string { return grants(t, p, user) }).open(t))
			lease, err := j.Begin(t.Context(), use("plan"))
			require.NoError(t, err)
			require.NotZero(t, lease.Epoch)
			seq := put(t, j, order("1", 0))
			seq = put(t, j, order("1", seq))
			_, _, err = j.Reserve(t.Context(), 1, time.Second, time.Second, 0)
			require.NoError(t, err)
			put(t, j, protocol.Record{Key: protocol.OrderKey("1"), Version: seq})
			w := newPlan(t)
			require.NoError(t, j.Plans().Put(t.Context(), w))
			stored, err := j.Plans().Open(t.Context(), w.Digest())
			require.NoError(t, err)
			require.NoError(t, stored.Close())

			reader := userOf(t, p, "r", func(user string) (all []string) {
				for _, table := range []string{"migrations", "journal", "records", "positions"} {
					all = append(all, "GRANT SELECT ON "+p.Prefix+table+" TO "+user)
				}
				return all
			})
			j = p.opened(t, reader.open(t))
			_, err = j.Begin(t.Context(), use(""))
			require.NoError(t, err)
			_, err = j.Flush(t.Context())
			require.NoError(t, err)
			_, err = j.Put(t.Context(), resubmit.Durable, order("2", 0))
			require.ErrorContains(t, err, "denied", "it must not try for 45 s")
			require.Error(t, sqljournal.Migrate(t.Context(), reader.open(t), d, sqljournal.WithPrefix("other_")))
		})
	}
}
