package maintenance

import (
	"sync"
	"sync/atomic"
)

// weeklyStarts caches when the occurrences of a rule start, which is slow to compute from
// its zone: a million orders are looked up in the same few weeks. It is safe for
// concurrent use.
type weeklyStarts struct {
	once sync.Once
	// known are seconds since 1970 by week; 0 is unknown. Other weeks are not cached.
	known []atomic.Int64
}

// weeksTo2100 is the number of weeks from 1970 to 2100.
const weeksTo2100 = 6783

// at returns the cached start of a week.
func (s *weeklyStarts) at(week int) (seconds int64, known bool) {
	if week < 0 || week >= weeksTo2100 {
		return 0, false
	}
	s.once.Do(func() { s.known = make([]atomic.Int64, weeksTo2100) })
	seconds = s.known[week].Load()
	return seconds, seconds != 0
}

// learn caches the start of a week, after a call of at.
func (s *weeklyStarts) learn(week int, seconds int64) {
	if week >= 0 && week < weeksTo2100 {
		s.known[week].Store(seconds)
	}
}
