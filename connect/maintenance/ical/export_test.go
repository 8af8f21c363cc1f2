package ical

import "time"

// Walls is what the clocks show when a rule begins, up to a reading.
func Walls(text string, start, last time.Time) ([]time.Time, error) {
	r, err := parseRule(text, moment{wall: start, zone: utc})
	if err != nil {
		return nil, err
	}
	var walls []time.Time
	for wall := range r.walls(last) {
		walls = append(walls, wall)
	}
	return walls, nil
}

// WindowsZones are the known names of Windows.
var WindowsZones = windowsZones
