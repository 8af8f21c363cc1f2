package protocol_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	require.Equal(t, protocol.Key{Kind: protocol.KindRun, ID: "r"}, protocol.RunKey("r"))
	require.Equal(t, protocol.Key{Kind: protocol.KindRun, ID: "r#7"}, protocol.LeaseKey("r", 7))
	require.Len(t, protocol.Outcomes(), 10)
}

func TestLeaseExpiry(t *testing.T) {
	t.Parallel()
	var none *protocol.Run
	require.Zero(t, none.LeaseExpiry())
	require.Zero(t, (&protocol.Run{LeaseEnd: noon, Ended: noon}).LeaseExpiry())
	require.Equal(t, noon, (&protocol.Run{LeaseEnd: noon}).LeaseExpiry())
}

func TestAtRest(t *testing.T) {
	t.Parallel()
	for want, records := range map[bool][]protocol.Record{
		true: {
			{Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Completed}},
			{Order: &protocol.Order{Phase: protocol.Ended, Status: commerce.StatusCompleted}},
			{Order: &protocol.Order{Phase: protocol.Ended, Status: commerce.StatusCancelled}},
			{Lane: &protocol.Lane{Newest: "1"}},
			{Run: &protocol.Run{Epoch: 1, Ended: noon}},
		},
		false: {
			{Order: &protocol.Order{Phase: protocol.Pushed, Status: commerce.StatusCompleted}},
			{Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain}},
			{Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Completed, Settled: true}},
			{Lane: &protocol.Lane{Order: "1"}}, {Lane: &protocol.Lane{Order: "1", Blocked: true}},
			{Run: &protocol.Run{}}, {Run: &protocol.Run{Epoch: 1}}, {System: new(protocol.System)}, {},
		},
	} {
		for _, r := range records {
			require.Equal(t, want, r.AtRest(), "%+v %+v", r.Order, r.Lane)
		}
	}
}

func TestCloneOfARecordSharesNothing(t *testing.T) {
	t.Parallel()
	order := protocol.Record{Order: &protocol.Order{Lanes: []string{"s"}, Earlier: []string{"t"}}}
	c := order.Clone()
	require.Equal(t, order, c)
	c.Order.Number, c.Order.Lanes[0], c.Order.Earlier[0] = "changed", "changed", "changed"
	require.Equal(t, protocol.Order{Lanes: []string{"s"}, Earlier: []string{"t"}}, *order.Order)

	lane := protocol.Record{Lane: &protocol.Lane{}}
	lane.Clone().Lane.Order = "changed"
	require.Zero(t, *lane.Lane)
	run := protocol.Record{Run: &protocol.Run{}}
	run.Clone().Run.Error = "changed"
	require.Zero(t, *run.Run)
	system := protocol.Record{System: &protocol.System{}}
	system.Clone().System.AskedAt = noon
	require.Zero(t, *system.System)
	require.True(t, protocol.Record{Key: protocol.OrderKey("1")}.Clone().Removes())
}

func TestCheckRecords(t *testing.T) {
	t.Parallel()
	order := func(id, number string) protocol.Record {
		return protocol.Record{Key: protocol.OrderKey(id), Order: &protocol.Order{Number: number}}
	}
	of := func(k protocol.Kind) protocol.Record {
		r := protocol.Record{Key: protocol.Key{Kind: k, ID: "x"}, Order: &protocol.Order{}, Lane: &protocol.Lane{}}
		r.Run, r.System = &protocol.Run{}, &protocol.System{}
		return r
	}
	for name, tc := range map[string]struct {
		records []protocol.Record
		want    string // "" if they may be written
	}{
		"none": {nil, ""},
		"one of each kind": {[]protocol.Record{
			order("1", "SO1"), order("2", ""), order("3", ""),
			{Key: laneKey("s"), Lane: &protocol.Lane{}},
			{Key: protocol.RunKey("r"), Run: &protocol.Run{}},
			{Key: protocol.Key{Kind: protocol.KindSystem, ID: "s"}, System: &protocol.System{}},
		}, ""},
		"a removal":        {[]protocol.Record{{Key: protocol.OrderKey("1")}}, ""},
		"without id":       {[]protocol.Record{order("", "")}, "has no id"},
		"unknown kind":     {[]protocol.Record{of("other")}, "the record of the other x must have only the field of its kind"},
		"of an order":      {[]protocol.Record{of(protocol.KindOrder)}, "only the field of its kind"},
		"of a lane":        {[]protocol.Record{of(protocol.KindLane)}, "only the field of its kind"},
		"of a run":         {[]protocol.Record{of(protocol.KindRun)}, "only the field of its kind"},
		"of the system":    {[]protocol.Record{of(protocol.KindSystem)}, "only the field of its kind"},
		"one key twice":    {[]protocol.Record{order("1", "SO1"), order("1", "SO2")}, "two records of the order 1"},
		"one number twice": {[]protocol.Record{order("1", "SO1"), order("2", "SO1")}, "two orders with the number SO1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := protocol.CheckRecords(tc.records)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}
