// Package jsonfile reads and writes JSON files that people edit: rules, patterns, views,
// maintenance windows. Reading is strict, because a typing error in such a file would
// otherwise change silently what is done with paid orders: unknown keys, repeated keys,
// null and values of another type are errors.
//
// A file is described by a [Format] and read into a Go struct with json tags. Errors are
// one line that says where the problem is:
//
//	rules: /etc/rules.json: line 7: rules[2]: unknown key "resaon" (did you mean "reason"?); known are id, …
package jsonfile
