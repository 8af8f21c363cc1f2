package ical_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

// oracle tells the occurrences of a rule straight from the table of RFC 5545 3.3.10: it
// looks at every day, one after the other, and asks each part of the rule about it.
// It shares nothing with what it checks but the text of the rule.
type oracle struct {
	start time.Time
	parts map[string][]string
}

func newOracle(text string, start time.Time) *oracle {
	o := &oracle{start: start, parts: make(map[string][]string)}
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		o.parts[key] = strings.Split(value, ",")
	}
	return o
}

func (o *oracle) has(key string) bool { return len(o.parts[key]) > 0 }

func (o *oracle) one(key, otherwise string) string {
	if o.has(key) {
		return o.parts[key][0]
	}
	return otherwise
}

func (o *oracle) numbers(key string) (numbers []int) {
	for _, text := range o.parts[key] {
		n, err := strconv.Atoi(text)
		if err != nil {
			n = 0
		}
		numbers = append(numbers, n)
	}
	return numbers
}

var dayNames = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

func (o *oracle) weekStart() int { return slices.Index(dayNames, o.one("WKST", "MO")) }

func dayNumber(t time.Time) int { return int(t.Unix()/86400) + 1_000_000 } // positive

// week counts weeks from long ago, each beginning on WKST.
func (o *oracle) week(t time.Time) int {
	// Day 1_000_000 was a Thursday.
	return (dayNumber(t) - (1_000_000 - 4 + o.weekStart())) / 7
}

// weekNumber is the number of the week in its year, and how many that year has: the
// first is the one with at least four days of the year.
func (o *oracle) weekNumber(t time.Time) (n, of int) {
	first := func(year int) int { return o.week(time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)) }
	year := t.Year() + 1
	for first(year) > o.week(t) {
		year--
	}
	return o.week(t) - first(year) + 1, first(year+1) - first(year)
}

// period numbers the intervals of the frequency.
func (o *oracle) period(t time.Time) int {
	switch o.one("FREQ", "") {
	case "DAILY":
		return dayNumber(t)
	case "WEEKLY":
		return o.week(t)
	case "MONTHLY":
		return t.Year()*12 + int(t.Month())
	default:
		return t.Year()
	}
}

func either(numbers []int, n, ofAll int) bool {
	return slices.Contains(numbers, n) || slices.Contains(numbers, n-ofAll-1)
}

func daysOfMonth(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func daysOfYear(t time.Time) int { return time.Date(t.Year(), 12, 31, 0, 0, 0, 0, time.UTC).YearDay() }

// on reports whether the rule has the day.
func (o *oracle) on(t time.Time) bool {
	freq := o.one("FREQ", "")
	if o.has("BYMONTH") && !slices.Contains(o.numbers("BYMONTH"), int(t.Month())) {
		return false
	}
	if n, of := o.weekNumber(t); o.has("BYWEEKNO") && !either(o.numbers("BYWEEKNO"), n, of) {
		return false
	}
	if o.has("BYYEARDAY") && !either(o.numbers("BYYEARDAY"), t.YearDay(), daysOfYear(t)) {
		return false
	}
	if o.has("BYMONTHDAY") && !either(o.numbers("BYMONTHDAY"), t.Day(), daysOfMonth(t)) {
		return false
	}
	if o.has("BYDAY") && !o.onWeekday(t) {
		return false
	}
	// What the rule leaves open is as in DTSTART.
	if o.has("BYYEARDAY") || o.has("BYMONTHDAY") || o.has("BYDAY") {
		return true
	}
	switch {
	case freq == "WEEKLY" || freq == "YEARLY" && o.has("BYWEEKNO"):
		return t.Weekday() == o.start.Weekday()
	case freq == "YEARLY" && !o.has("BYMONTH"):
		return t.Month() == o.start.Month() && t.Day() == o.start.Day()
	case freq == "YEARLY" || freq == "MONTHLY":
		return t.Day() == o.start.Day()
	default:
		return true
	}
}

func (o *oracle) onWeekday(t time.Time) bool {
	inMonth := o.one("FREQ", "") == "MONTHLY" || o.has("BYMONTH")
	day, of := t.YearDay(), daysOfYear(t)
	if inMonth {
		day, of = t.Day(), daysOfMonth(t)
	}
	nth, fromEnd := (day-1)/7+1, -((of-day)/7 + 1)
	for _, text := range o.parts["BYDAY"] {
		n, _ := strconv.Atoi(text[:len(text)-2])
		if text[len(text)-2:] == dayNames[t.Weekday()] && (n == 0 || n == nth || n == fromEnd) {
			return true
		}
	}
	return false
}

// times are those of a day, in order.
func (o *oracle) times(day time.Time) (times []time.Time) {
	pick := func(key string, otherwise int) []int {
		if o.has(key) {
			return o.numbers(key)
		}
		return []int{otherwise}
	}
	for _, h := range pick("BYHOUR", o.start.Hour()) {
		for _, m := range pick("BYMINUTE", o.start.Minute()) {
			t := time.Date(day.Year(), day.Month(), day.Day(), h, m, o.start.Second(), 0, time.UTC)
			if !slices.Contains(times, t) {
				times = append(times, t)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// until lists the occurrences up to a reading.
func (o *oracle) until(last time.Time) []time.Time {
	interval, err := strconv.Atoi(o.one("INTERVAL", "1"))
	if err != nil {
		return nil
	}
	all := []time.Time{o.start}
	var inPeriod []time.Time
	period := -1
	flush := func() {
		for i, t := range inPeriod {
			if o.has("BYSETPOS") && !either(o.numbers("BYSETPOS"), i+1, len(inPeriod)) {
				continue
			}
			if t.After(o.start) {
				all = append(all, t)
			}
		}
		inPeriod = nil
	}
	// From the beginning of the period of DTSTART, for BYSETPOS to count from.
	day := time.Date(o.start.Year(), 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -7)
	for ; !day.After(last.AddDate(1, 1, 0)); day = day.AddDate(0, 0, 1) {
		now := o.period(day)
		if now != period {
			flush()
			period = now
		}
		if now >= o.period(o.start) && (now-o.period(o.start))%interval == 0 && o.on(day) {
			inPeriod = append(inPeriod, o.times(day)...)
		}
	}
	flush()
	count, err := strconv.Atoi(o.one("COUNT", "1000000"))
	if err != nil {
		return nil
	}
	all = all[:min(count, len(all))]
	return slices.DeleteFunc(all, func(t time.Time) bool {
		return t.After(last) || o.has("UNTIL") && t.Format("20060102T150405Z") > o.one("UNTIL", "")
	})
}

// drawRule is any rule that RFC 5545 has a meaning for.
func drawRule(t *rapid.T, start time.Time) string {
	freq := rapid.SampledFrom([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}).Draw(t, "freq")
	parts := []string{"FREQ=" + freq}
	some := func(key string, of ...string) {
		values := rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 4, rapid.ID[string]).Draw(t, key)
		parts = append(parts, key+"="+strings.Join(values, ","))
	}
	maybe := func(name string) bool { return rapid.IntRange(0, 2).Draw(t, "with "+name) == 0 }
	numbers := func(from, to int) (all []string) {
		for n := from; n <= to; n++ {
			if n != 0 {
				all = append(all, strconv.Itoa(n))
			}
		}
		return all
	}
	weekNumbers := freq == "YEARLY" && maybe("BYWEEKNO")
	if weekNumbers {
		some("BYWEEKNO", numbers(-53, 53)...)
	} else if maybe("INTERVAL") {
		parts = append(parts, fmt.Sprintf("INTERVAL=%d", rapid.IntRange(1, 7).Draw(t, "interval")))
	}
	if maybe("WKST") {
		some1 := rapid.SampledFrom(dayNames).Draw(t, "wkst")
		parts = append(parts, "WKST="+some1)
	}
	months := maybe("BYMONTH")
	if months {
		some("BYMONTH", numbers(1, 12)...)
	}
	if freq != "WEEKLY" && maybe("BYMONTHDAY") {
		some("BYMONTHDAY", numbers(-31, 31)...)
	}
	if freq == "YEARLY" && maybe("BYYEARDAY") {
		some("BYYEARDAY", numbers(-366, 366)...)
	}
	if maybe("BYDAY") {
		days := slices.Clone(dayNames)
		if (freq == "MONTHLY" || freq == "YEARLY") && !weekNumbers && rapid.Bool().Draw(t, "numbered") {
			most := 53
			if freq == "MONTHLY" || months {
				most = 5
			}
			n := rapid.IntRange(-most, most).Filter(func(n int) bool { return n != 0 })
			for range 3 {
				days = append(days, strconv.Itoa(n.Draw(t, "n"))+rapid.SampledFrom(dayNames).Draw(t, "day"))
			}
			slices.Reverse(days)
		}
		some("BYDAY", days...)
	}
	if maybe("BYHOUR") {
		some("BYHOUR", "0", "2", "14", "23")
	}
	if maybe("BYMINUTE") {
		some("BYMINUTE", "0", "30", "59")
	}
	if !weekNumbers && maybe("BYSETPOS") {
		some("BYSETPOS", "1", "2", "3", "-1", "-2", "7", "-366")
	}
	switch rapid.IntRange(0, 3).Draw(t, "end") {
	case 0:
		parts = append(parts, fmt.Sprintf("COUNT=%d", rapid.IntRange(1, 30).Draw(t, "count")))
	case 1:
		days := rapid.IntRange(-10, 2000).Draw(t, "until")
		parts = append(parts, "UNTIL="+start.AddDate(0, 0, days).Format("20060102T150405Z"))
	}
	return strings.Join(parts, ";")
}

func TestRulesMatchOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			compareRule(t)
		}
	})
}

func compareRule(t *rapid.T) {
	day := rapid.IntRange(0, 12000).Draw(t, "start day")
	start := time.Date(2000, 1, 1+day, rapid.IntRange(0, 23).Draw(t, "hour"), 30, 0, 0, time.UTC)
	rule := drawRule(t, start)
	last := start.AddDate(0, 0, rapid.IntRange(0, 2200).Draw(t, "days"))
	got, err := ical.Walls(rule, start, last)
	require.NoError(t, err, rule)
	want := newOracle(rule, start).until(last)
	require.Equal(t, texts(want), texts(got), "%s from %s", rule, start)
}

func texts(times []time.Time) []string {
	all := make([]string, 0, len(times))
	for _, t := range times {
		all = append(all, t.Format("Mon 2006-01-02 15:04"))
	}
	return all
}

func BenchmarkWindows(b *testing.B) {
	for _, bc := range []struct{ name, rule string }{
		{"ten years of weekly windows", "FREQ=WEEKLY"},
		{"a rule that never has a day", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := parse(b, calendar(plain("DTSTART;TZID=Europe/Berlin:20200104T020000", "DURATION:PT3H", "RRULE:"+bc.rule)))
			from, to := instant(b, "2020-01-01T00:00:00Z"), instant(b, "2030-01-01T00:00:00Z")
			b.ReportAllocs()
			for b.Loop() {
				_, err := s.Windows(b.Context(), from, to)
				require.NoError(b, err)
			}
		})
	}
}
