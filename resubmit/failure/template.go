package failure

import (
	"strings"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxTemplate is the largest length of a template in bytes.
const maxTemplate = 400

// Template returns a failure text with the parts that differ between orders replaced: <id>, <time>, <n> (a number),
// <uuid>, <host> and <mail>; runs of white space become one space. HTTP status codes and error codes ("#2007") are
// kept. Texts with equal templates describe the same kind of failure. A template has at most 400 bytes; a longer one
// is cut and ends in "…".
func Template(s string) string {
	var b strings.Builder
	b.Grow(min(len(s), maxTemplate) + 16)
	previous := "" // word
	for len(s) > 0 && b.Len() <= maxTemplate {
		word, mark, rest := nextWord(s)
		if word != "" {
			b.WriteString(templateOf(word, previous, mark+rest))
			previous = word
		}
		if strings.TrimSpace(mark) != "" {
			b.WriteString(mark)
		} else if b.Len() > 0 && rest != "" && !strings.HasSuffix(b.String(), " ") {
			b.WriteByte(' ')
		}
		s = rest
	}
	return text.Clip(strings.TrimSpace(strings.ToValidUTF8(b.String(), "\uFFFD")), maxTemplate)
}

// nextWord splits a text at the first separator: white space, a bracket, a quotation mark, or punctuation that ends a
// word.
func nextWord(text string) (word, mark, rest string) {
	i, j := 0, -1 // j is the first punctuation that a URL may have
	for ; i < len(text) && marks[text[i]] != separator; i++ {
		if j < 0 && marks[text[i]] == punctuation {
			j = i
		}
	}
	if j >= 0 && !strings.Contains(text[:i], "://") {
		i = j
	}
	word = strings.TrimRight(text[:i], ".:!?")
	if len(word) < i {
		return word, text[len(word):i], text[i:]
	}
	if i == len(text) {
		return word, "", ""
	}
	return word, text[i : i+1], text[i+1:]
}

const (
	separator   = 1 // ends every word
	punctuation = 2 // ends a word that is no URL
	special     = 3 // may be of a part that differs between orders
)

// marks says what bytes mean in a text.
var marks = func() (m [256]byte) {
	for mark, bytes := range map[byte]string{
		separator: " \t\r\n\"'`()[]{}<>", punctuation: "|,;=", special: "0123456789.:@",
	} {
		for _, b := range []byte(bytes) {
			m[b] = mark
		}
	}
	return m
}()

// isPlain reports whether a word is the same for all orders, which most words are. It is fast.
func isPlain(word string) bool {
	for i := range len(word) {
		if marks[word[i]] == special {
			return false
		}
	}
	return len(word) != uuidLength
}

func templateOf(word, previous, after string) string {
	switch {
	case isPlain(word):
		return word
	case strings.Contains(word, "://"):
		return urlTemplate(word)
	case strings.Count(word, "@") == 1 && strings.Contains(word, "."):
		return "<mail>"
	case isUUID(word):
		return "<uuid>"
	case !strings.ContainsAny(word, "0123456789"):
		if isHost(word) {
			return "<host>"
		}
		return word
	case isTime(word):
		return "<time>"
	case isHost(word):
		return "<host>"
	case isCode(word, previous, after):
		return word
	case isHex(word):
		return "<id>"
	default:
		return replaceNumbers(word)
	}
}

// urlTemplate keeps the scheme, and the path with its ids replaced.
func urlTemplate(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "?")
	_, path, _ := strings.Cut(rest, "/")
	var b strings.Builder
	b.WriteString(scheme + "://<host>")
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			b.WriteString("/" + templateOf(part, "", ""))
		}
	}
	return b.String()
}

const uuidLength = 36

func isUUID(s string) bool {
	if len(s) != uuidLength {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHexDigit(s[i]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// isHex matches hashes and similar: at least eight hexadecimal digits.
func isHex(s string) bool {
	s = strings.TrimPrefix(s, "0x")
	for i := range len(s) {
		if !isHexDigit(s[i]) {
			return false
		}
	}
	return len(s) >= 8 && strings.ContainsAny(s, "abcdefABCDEF")
}

// isTime matches dates and times of day: 2026-11-22, 2026-11-22T02:00:00Z, 02:00:00.123.
func isTime(s string) bool {
	date := len(s) >= 10 && isShaped(s[:10], "dddd-dd-dd") || len(s) >= 10 && isShaped(s[:10], "dddd/dd/dd")
	return date || len(s) >= 5 && isShaped(s[:5], "dd:dd") && strings.Trim(s, "0123456789:.Z+-") == ""
}

// isShaped matches a text against a shape in which d stands for a digit.
func isShaped(s, shape string) bool {
	for i := range len(shape) {
		if shape[i] == 'd' && !isDigit(s[i]) || shape[i] != 'd' && s[i] != shape[i] {
			return false
		}
	}
	return true
}

// isHost matches lower-case names with at least two dots, or one and a port, and IPv4 addresses. It does not match
// java.net.SocketTimeoutException or a version.
func isHost(s string) bool {
	name, port, hasPort := strings.Cut(s, ":")
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	dots := strings.Count(name, ".")
	letters := strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz")
	return letters && (dots >= 2 || hasPort && port != "" && dots >= 1) || !letters && dots == 3
}

// isCode matches HTTP status codes, by the words before and after them, and error numbers such as #2007.
func isCode(word, previous, after string) bool {
	if strings.HasPrefix(word, "#") {
		return len(word) <= len("#99999") && strings.Trim(word[1:], "0123456789") == "" && word != "#"
	}
	if len(word) != 3 || word[0] != '4' && word[0] != '5' || !isDigit(word[1]) || !isDigit(word[2]) {
		return false
	}
	switch strings.ToLower(previous) {
	case "http", "http/1.1", "http/1.0", "http/2", "status", "code", "error", "answered", "returned", "received":
		return true
	}
	next, _ := utf8.DecodeRuneInString(strings.TrimPrefix(after, " "))
	return strings.HasPrefix(after, " ") && 'A' <= next && next <= 'Z'
}

// replaceNumbers replaces runs of digits, including those joined by punctuation: 1.5, PRD-1-2.
func replaceNumbers(word string) string {
	var b strings.Builder
	for i := 0; i < len(word); {
		if !isDigit(word[i]) {
			b.WriteByte(word[i])
			i++
			continue
		}
		end := i
		for end < len(word) && (isDigit(word[end]) || strings.IndexByte("-.:/", word[end]) >= 0 && end+1 < len(word) &&
			isDigit(word[end+1])) {
			end++
		}
		b.WriteString("<n>")
		i = end
	}
	return b.String()
}
