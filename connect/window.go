package connect

import "time"

// Window is one maintenance of Connect: planned, and then as it really went.
// Times are half-open, [start, end), and kept in UTC.
type Window struct {
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	// Start and End are as announced.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// ActualStart and ActualEnd are as it went; zero when not known (yet).
	ActualStart time.Time `json:"actualStart,omitzero"`
	ActualEnd   time.Time `json:"actualEnd,omitzero"`
	Cancelled   bool      `json:"cancelled,omitempty"`
	// Zone is the IANA name of the zone to show the times in; "" is UTC.
	Zone string `json:"zone,omitempty"`
	// Source tells where the window is known from: a file, a feed, "observed".
	Source string `json:"source,omitempty"`
}

// WindowState is a window's state at an instant.
type WindowState string

// The states of a window.
const (
	Planned   WindowState = "planned"   // has not begun
	Ongoing   WindowState = "ongoing"   // holds now
	Finished  WindowState = "finished"  // is over
	Cancelled WindowState = "cancelled" // does not take place
	// Overrun is known to have begun, should be over, and has no known end: it
	// still holds.
	Overrun WindowState = "overrun"
)
