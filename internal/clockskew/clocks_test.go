package clockskew_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/clockskew"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// at is an answer: the local time in seconds after noon, and how far it seems ahead.
type at struct {
	second int
	ahead  time.Duration
}

func TestAhead(t *testing.T) {
	t.Parallel()
	const host = "mn.example.net"
	for name, test := range map[string]struct {
		answers []at
		want    time.Duration
		known   bool
	}{
		"nothing":                   {nil, 0, false},
		"one answer is no proof":    {[]at{{0, time.Hour}}, 0, false},
		"two answers agree":         {[]at{{0, time.Hour}, {2, time.Hour + time.Second}}, time.Hour, true},
		"behind":                    {[]at{{0, -time.Hour}, {5, -time.Hour}}, -time.Hour, true},
		"two answers contradict":    {[]at{{0, time.Hour}, {5, 0}}, 0, false},
		"one cached answer of many": {[]at{{0, 0}, {1, 3 * time.Hour}, {2, 0}}, 0, true},
		"one answer from a cache, again and again": {
			[]at{{0, 3 * time.Hour}, {1, 3*time.Hour + time.Second}, {2, 3*time.Hour + 2*time.Second}}, 0, false,
		},
		"more cached answers than others": {
			[]at{{0, 3 * time.Hour}, {1, 3 * time.Hour}, {2, 3 * time.Hour}, {3, 0}, {5, time.Second}}, 0, true,
		},
		"one gateway with a wrong clock": {[]at{{0, 0}, {1, -time.Hour}, {2, 0}}, 0, true},
		"the clock was set": {
			[]at{
				{0, 0}, {1, 0}, {12, time.Minute}, {13, time.Minute}, {14, time.Minute}, {15, time.Minute}, {16, time.Minute},
				{17, time.Minute}, {18, time.Minute},
			}, time.Minute, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clocks clockskew.Clocks
			for _, a := range test.answers {
				local := noon.Add(time.Duration(a.second) * time.Second)
				clocks.ReportDate(host, local.Add(-a.ahead), local)
				clocks.ReportDate("other.example.net", local, local)
			}
			ahead, known := clocks.Ahead(host)
			require.Equal(t, test.known, known)
			require.Equal(t, test.want, ahead)
			if test.want != 0 {
				worst, ahead := clocks.Worst()
				require.Equal(t, host, worst)
				require.Equal(t, test.want, ahead)
			}
		})
	}
}

func TestSuspected(t *testing.T) {
	t.Parallel()
	const host = "mn.example.net"
	for name, test := range map[string]struct {
		answers []at
		want    time.Duration
	}{
		"nothing":                            {nil, 0},
		"one answer":                         {[]at{{0, time.Hour}}, time.Hour},
		"one answer behind":                  {[]at{{0, -time.Hour}}, -time.Hour},
		"two answers agree":                  {[]at{{0, time.Hour}, {2, time.Hour}}, time.Hour},
		"the second answer contradicts it":   {[]at{{0, time.Hour}, {2, 0}}, 0},
		"the first of two answers is right":  {[]at{{0, time.Second}, {2, time.Hour}}, time.Second},
		"one cached answer among confirming": {[]at{{0, 0}, {1, 3 * time.Hour}, {2, 0}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clocks clockskew.Clocks
			for _, a := range test.answers {
				local := noon.Add(time.Duration(a.second) * time.Second)
				clocks.ReportDate(host, local.Add(-a.ahead), local)
			}
			_, ahead := clocks.Suspected()
			require.Equal(t, test.want, ahead)
		})
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []at
		want    time.Duration // after the local clock
		known   bool
	}{
		"nothing":                              {nil, 0, false},
		"one answer that the local confirms":   {[]at{{0, 2 * time.Second}}, -2 * time.Second, true},
		"one answer that nothing confirms":     {[]at{{0, time.Minute}}, 0, false},
		"two answers agree":                    {[]at{{0, time.Minute}, {2, time.Minute + time.Second}}, -time.Minute, true},
		"two answers contradict":               {[]at{{0, time.Hour}, {2, 0}}, 0, false},
		"the clock was set before the answers": {[]at{{0, 0}, {2, 0}, {4, -time.Minute}, {5, -time.Minute}}, time.Minute, true},
		"the clock was set before the last":    {[]at{{0, 0}, {2, 0}, {4, time.Minute}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clocks clockskew.Clocks
			for _, a := range test.answers {
				local := noon.Add(time.Duration(a.second) * time.Second)
				clocks.ReportDate("connect.test", local.Add(-a.ahead), local)
			}
			want := time.Time{}
			if test.known {
				want = noon.Add(time.Minute + test.want)
			}
			require.Equal(t, want, clocks.Time(noon.Add(time.Minute)))
			clocks.ReportDate("other.test", noon, noon)
			if test.answers != nil {
				require.Zero(t, clocks.Time(noon), "there are two hosts")
			}
		})
	}
}

func TestWorstOfManyHosts(t *testing.T) {
	t.Parallel()
	var clocks clockskew.Clocks
	host, ahead := clocks.Worst()
	require.Empty(t, host)
	require.Zero(t, ahead)
	for i := range 1000 {
		for second := range 2 {
			local := noon.Add(time.Duration(second) * time.Second)
			clocks.ReportDate(string(rune('a'+i)), local.Add(time.Duration(i)*time.Hour), local)
		}
	}
	host, ahead = clocks.Worst()
	require.Equal(t, "p", host, "the memory is limited to 16 hosts")
	require.Equal(t, -15*time.Hour, ahead)
}
