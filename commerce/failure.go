package commerce

import (
	"slices"
	"strings"
)

// Failure is why an order failed, as far as Commerce says. The zero value means unknown, which
// is common: lists often leave it out, and Simple API does not have it.
type Failure struct {
	// Messages are the failure messages by locale ("en_US"). Order Management calls them
	// errorDetails, as a public program reads it (commerce/WIRE.md#2.4).
	Messages map[string]string `json:"text,omitempty"`
}

// Message returns the text in en_US, or else in another English locale, or else in the first
// locale by name. It skips empty texts, and returns "" if there is none.
func (f Failure) Message() string {
	if s := f.Messages["en_US"]; s != "" {
		return s
	}
	locales := make([]string, 0, len(f.Messages))
	for locale, text := range f.Messages {
		if text != "" {
			locales = append(locales, locale)
		}
	}
	if len(locales) == 0 {
		return ""
	}
	slices.Sort(locales)
	for _, locale := range locales {
		if strings.HasPrefix(locale, "en") {
			return f.Messages[locale]
		}
	}
	return f.Messages[locales[0]]
}

// Reason returns the part of the message after "Reason: ", or the whole message if it has no such
// part. The part ends with its sentence or line, as in a public program (commerce/WIRE.md#2.4).
// Unlike in that program, a dot inside a word (a host name, a version) does not end the sentence.
func (f Failure) Reason() string {
	message := f.Message()
	_, reason, found := strings.Cut(message, "Reason: ")
	if !found {
		return strings.TrimSpace(message)
	}
	if line := strings.IndexByte(reason, '\n'); line >= 0 {
		reason = reason[:line]
	}
	if dot := strings.Index(reason, ". "); dot >= 0 {
		reason = reason[:dot]
	}
	return strings.TrimSuffix(strings.TrimSpace(reason), ".")
}
