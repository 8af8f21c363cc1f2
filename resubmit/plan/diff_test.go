package plan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// diffEntry is the n-th order of a plan, placed at the n-th half second.
func diffEntry(n int, change func(*plan.Entry)) *plan.Entry {
	e := *planEntries()[0]
	e.OrderID, e.Number = fmt.Sprint("id-", n), fmt.Sprintf("SO%06d", n)
	e.Before.PlacedAt = planTime.Add(time.Duration(n) * time.Second / 2)
	e.Subscriptions = []string{fmt.Sprint(n)}
	if change != nil {
		change(&e)
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	return &e
}

func TestDiff(t *testing.T) {
	t.Parallel()
	hold := func(e *plan.Entry) {
		e.Target, e.Decision = "", rules.Decision{Action: rules.Hold, RuleID: "reason-unclassified", Why: "why"}
	}
	untold := func(e *plan.Entry) { e.Before.PlacedAt = time.Time{} }
	old, err := readPlan(writePlan(t,
		diffEntry(0, nil), diffEntry(1, nil), diffEntry(2, nil), diffEntry(3, hold), diffEntry(4, nil), diffEntry(90, untold),
		diffEntry(91, untold)))
	require.NoError(t, err)
	newer, err := readPlan(writePlan(t,
		diffEntry(91, untold),
		diffEntry(1, nil), // the order within a second is not told
		diffEntry(0, func(e *plan.Entry) { e.Before.Message = "another reason" }),
		diffEntry(3, nil), diffEntry(4, func(e *plan.Entry) { e.Target = commerce.StatusProvisioning }),
		diffEntry(5, hold), diffEntry(92, untold)))
	require.NoError(t, err)

	for form, write := range map[string]func(*bytes.Buffer) func(plan.Difference) error{
		"txt": func(b *bytes.Buffer) func(plan.Difference) error {
			return func(d plan.Difference) error { _, err := fmt.Fprintln(b, d); return err }
		},
		"jsonl": func(b *bytes.Buffer) func(plan.Difference) error {
			return func(d plan.Difference) error { return json.NewEncoder(b).Encode(d) }
		},
	} {
		var b bytes.Buffer
		counts, err := plan.Diff(old, newer, write(&b))
		require.NoError(t, err)
		require.Equal(t, plan.DiffCounts{Same: 2, Changed: 3, Gone: 2, New: 2}, counts)
		path := filepath.Join("testdata", "difference.golden."+form)
		if *update {
			require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		}
		golden, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(golden), b.String())
	}
	counts, err := plan.Diff(old, old, func(d plan.Difference) error { return errors.New(d.String()) })
	require.NoError(t, err)
	require.Equal(t, "0 left the failed orders, 0 new, 0 changed, 7 the same", counts.String())
}

func TestDiffRejectsPlansOfOtherOrders(t *testing.T) {
	t.Parallel()
	h := planHeader()
	h.Filter = "eq(class,permanent)"
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, h)
	require.NoError(t, err)
	_, _, err = w.Close()
	require.NoError(t, err)
	other, err := readPlan(b.Bytes())
	require.NoError(t, err)
	_, err = plan.Diff(goodPlan(t), other, nil)
	require.ErrorContains(t, err, `different filters, "eq(class,transient)" and "eq(class,permanent)"`)
	_, err = plan.Diff(nil, other, nil)
	require.ErrorContains(t, err, "a plan is nil")
}

func TestDiffEndsWithTheFirstErrorOfTheCallback(t *testing.T) {
	t.Parallel()
	empty, err := readPlan(writePlan(t))
	require.NoError(t, err)
	full := errors.New("disk full")
	told := 0
	_, err = plan.Diff(goodPlan(t), empty, func(plan.Difference) error { told++; return full })
	require.ErrorIs(t, err, full)
	require.Equal(t, 1, told)
}

func TestDiffAgreesWithMaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plans := [2]*plan.Plan{}
		sets := [2]map[string]string{}
		for i := range plans {
			sets[i] = make(map[string]string)
			var b bytes.Buffer
			w, err := plan.NewWriter(&b, planHeader())
			require.NoError(t, err)
			for n := range 40 {
				if !rapid.Bool().Draw(t, "there") {
					continue
				}
				reason := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "reason")
				e := diffEntry(n, func(e *plan.Entry) { e.Before.Message = reason })
				if n%10 == 9 {
					e.Before.PlacedAt = time.Time{}
					e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
				}
				require.NoError(t, w.Write(e))
				sets[i][e.OrderID] = reason
			}
			_, _, err = w.Close()
			require.NoError(t, err)
			plans[i], err = readPlan(b.Bytes())
			require.NoError(t, err)
		}
		var want plan.DiffCounts
		for id, was := range sets[0] {
			switch is, ok := sets[1][id]; {
			case !ok:
				want.Gone++
			case was != is:
				want.Changed++
			default:
				want.Same++
			}
		}
		want.New = len(sets[1]) - want.Same - want.Changed
		told := 0
		counts, err := plan.Diff(plans[0], plans[1], func(plan.Difference) error { told++; return nil })
		require.NoError(t, err)
		require.Equal(t, want, counts)
		require.Equal(t, want.Gone+want.New+want.Changed, told)
	})
}
