package secrets_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// forms returns the encodings of a secret; plainer handles quotes.
func forms(secret string) []string {
	all := []string{
		secret,
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		url.PathEscape(secret), url.Values{"": {secret}}.Encode()[1:],
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(secret), html.EscapeString(secret),
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// plainer removes one level of Go or JSON quoting from a text.
var plainer = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\u0026`, "&", `\u003c`, "<", `\u003e`, ">", `\u00fc`, "ü")

// vault holds the secrets of a test, including tokens issued during it.
type vault struct {
	mu    sync.Mutex
	known map[string]known // by secret
}

type known struct {
	name  string
	forms []string
}

func (v *vault) add(name, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string]known{}
	}
	if _, twice := v.known[secret]; secret != "" && !twice {
		v.known[secret] = known{name, forms(secret)}
	}
}

// within returns the names of the secrets that a text contains in any form.
func (v *vault) within(text string) (found []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for layer, last := 0, text; layer < 3; layer++ {
		last = plainer.Replace(last)
		text += "\n" + last
	}
	for _, k := range v.known {
		for _, form := range k.forms {
			if strings.Contains(text, form) {
				found = append(found, fmt.Sprintf("%s as %q", k.name, form))
			}
		}
	}
	return found
}

// written returns everything that a program can print of a value.
func written(value any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&b, verb+"\n", value)
	}
	if text, err := json.Marshal(value); err == nil {
		b.Write(text)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		slog.New(h).Error("printed", "value", value)
	}
	return b.String()
}

// writtenError returns everything that can be printed of an error and its causes.
func writtenError(err error) string {
	if err == nil {
		return ""
	}
	text := written(err)
	switch e := err.(type) { //nolint:errorlint // the causes are walked one by one
	case interface{ Unwrap() error }:
		text += writtenError(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			text += writtenError(cause)
		}
	}
	return text
}

// A search that finds nothing proves something only if it finds a leak.
func TestSearchFindsALeak(t *testing.T) {
	t.Parallel()
	const secret = `to<k>en/+="42 ü`
	var v vault
	v.add("the token", secret)
	type body struct{ Text string }
	for _, form := range forms(secret) {
		for name, err := range map[string]error{
			"in the text":        fmt.Errorf("refused: %s", form),
			"in a cause":         fmt.Errorf("refused: %w", hidden{errors.New(form)}),
			"in one of causes":   fmt.Errorf("refused: %w", errors.Join(errors.New("a"), hidden{errors.New("b " + form)})),
			"in a field":         &leaky{Body: "x " + form},
			"in a text of JSON":  fmt.Errorf("refused: %s", written(body{form})),
			"in a bigger base64": fmt.Errorf("refused: %s", base64.StdEncoding.EncodeToString([]byte(secret))+"=="),
		} {
			require.NotEmpty(t, v.within(writtenError(err)), "%s: %q", name, form)
		}
	}
	require.Empty(t, v.within(writtenError(errors.New("the token was refused"))))
}

// hidden does not show its cause.
type hidden struct{ cause error }

func (h hidden) Error() string { return "hidden" }
func (h hidden) Unwrap() error { return h.cause }

// leaky shows its secret only if its fields are printed.
type leaky struct{ Body string }

func (*leaky) Error() string { return "leaky" }
