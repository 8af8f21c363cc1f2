package resubmit_test

import (
	"bytes"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

func readPlan(data []byte) (*plan.Plan, error) {
	return plan.Read(bytes.NewReader(data), int64(len(data)))
}

func entriesOf(t testing.TB, p *plan.Plan) []*plan.Entry {
	t.Helper()
	var out []*plan.Entry
	for e, err := range p.Entries() {
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

type brokenWriter struct{ after int }

var errDiskFull = errors.New("disk full")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, errDiskFull
	}
	return len(b), nil
}
