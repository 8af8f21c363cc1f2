package maintenance

import (
	"sync"
	"sync/atomic"
)

// weeklyStarts remembers when the occurrences of a rule begin, which takes a while
// to work out from its zone: a million orders are looked up in the same few weeks.
// Safe for concurrent use.
type weeklyStarts struct {
	once sync.Once
	// known are seconds since 1970 by the week; 0 is not known yet. Weeks that are not
	// in it are worked out every time.
	known []atomic.Int64
}

// weeksTo2100 are those from 1970 on.
const weeksTo2100 = 6783

// at is when the occurrence of a week begins, if that is known.
func (s *weeklyStarts) at(week int) (seconds int64, known bool) {
	if week < 0 || week >= weeksTo2100 {
		return 0, false
	}
	s.once.Do(func() { s.known = make([]atomic.Int64, weeksTo2100) })
	seconds = s.known[week].Load()
	return seconds, seconds != 0
}

// learn remembers when the occurrence of a week begins, after at was asked.
func (s *weeklyStarts) learn(week int, seconds int64) {
	if week >= 0 && week < weeksTo2100 {
		s.known[week].Store(seconds)
	}
}
