package text

import (
	"regexp"
	"strings"
)

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// ID returns an id in the form in which ids are compared: a UUID in lower case, since its letter case
// has no meaning (RFC 9562), and any other id unchanged.
func ID(s string) string {
	if uuid.MatchString(s) {
		return strings.ToLower(s)
	}
	return s
}
