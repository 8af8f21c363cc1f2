package audit

// File is the file of a log.
func (l *Log) File() interface{ Close() error } { return l.file }

// Add writes a line.
func (l *Log) Add(line Line) error { return l.add(line) }
