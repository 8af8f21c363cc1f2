// Package mismatch counts the rows of a list that do not match the query, so that they are
// reported instead of dropped silently.
//
//	var rows mismatch.Rows
//	rows.Add("SO000027", `status "CP"`)
//	rows.Matched()
//	err := rows.Err()        // an error if no row matched
//	log.Warn(rows.String()) // 1 row did not match the query: SO000027 (status "CP")
package mismatch

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	mostNamed = 5
	mostName  = 60
)

// Rows counts the rows of one list. The zero value is ready to use. It is not safe for concurrent
// use.
type Rows struct {
	count   int
	named   []string
	matched bool
}

// Matched records that a row matched.
func (r *Rows) Matched() { r.matched = true }

// Add records a row that did not match, with its name and the reason.
func (r *Rows) Add(name, why string) {
	r.count++
	if len(r.named) < mostNamed {
		r.named = append(r.named, fmt.Sprintf("%s (%s)", label(name), why))
	}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func label(name string) string {
	name = text.Clip(name, mostName)
	if plainName.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// Count returns how many rows did not match.
func (r *Rows) Count() int { return r.count }

// Named returns the names of the first few rows that did not match, with the reasons.
func (r *Rows) Named() []string { return r.named }

// String returns how many rows did not match, and which; "" if all matched.
func (r *Rows) String() string { return Text(r.count, r.named) }

// Text returns the text of [Rows.String] for a count and the names of the first rows.
func Text(count int, named []string) string {
	if count == 0 {
		return ""
	}
	text := "1 row did not match the query"
	if count > 1 {
		text = fmt.Sprintf("%d rows did not match the query", count)
	}
	if len(named) > 0 {
		text += ": " + strings.Join(named, ", ")
	}
	if more := count - len(named); more > 0 && len(named) > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Err returns an error if there were rows and none of them matched: the server understands the
// filter differently, so the list proves nothing.
func (r *Rows) Err() error {
	if r.count == 0 || r.matched {
		return nil
	}
	return errors.New("none of the rows that the server returned is what it was asked for: " + r.String())
}

var code = regexp.MustCompile(`^[A-Z0-9]{2,4}$`)

// StatusProblem returns what is wrong with the code of an order's status, or "". Codes have two
// upper-case letters or digits in the flows that CloudBlue ships, and up to four in customized
// flows.
func StatusProblem(status string) string {
	switch {
	case status == "":
		return "it has no status"
	case !code.MatchString(status):
		return fmt.Sprintf("its status %q is not a status code such as \"PF\"", text.Clip(status, mostName))
	default:
		return ""
	}
}
