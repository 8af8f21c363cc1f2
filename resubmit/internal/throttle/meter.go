package throttle

import "time"

// meterTime is how long a meter knows each second.
const meterTime = 60

// meter counts calls by the second.
type meter struct {
	total   int
	seconds [meterTime]int
	newest  int64 // the second of the last count, in Unix time
}

// add counts a call.
func (m *meter) add(now time.Time) {
	m.pass(now)
	m.total++
	m.seconds[m.newest%meterTime]++
}

// pass forgets what is too old.
func (m *meter) pass(now time.Time) {
	second := max(now.Unix(), 0)
	if second-m.newest >= meterTime {
		m.seconds, m.newest = [meterTime]int{}, second
	}
	for m.newest < second {
		m.newest++
		m.seconds[m.newest%meterTime] = 0
	}
}

// last counts the calls of the last n seconds, up to a minute, and the current one.
func (m *meter) last(now time.Time, n int) (calls int) {
	m.pass(now)
	for i := range int64(min(n, meterTime-1)) + 1 {
		calls += m.seconds[(m.newest-i+meterTime)%meterTime]
	}
	return calls
}

// Made returns how many calls were allowed so far, and how many of them in the last n seconds, up to a minute.
func (p *Pacer) Made(n int) (total, lately int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lately = p.made.last(time.Now(), n)
	return p.made.total, lately
}
