package failure_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "",
		"Provisioning of order SO000027 has failed. Reason: none.":  "Provisioning of order SO<n> has failed. Reason: none.",
		"resource 7f0c1b6e-2a52-4c1d-9d0c-502503504000 of type 'x'": "resource <uuid> of type 'x'",
		"'500 Internal Server Error' received from 'POST " +
			"https://ext.example.com:443/tenant/7f0c1b6e-2a52-4c1d-9d0c-502503504000?a=1'": "'500 Internal Server Error' received from 'POST https://<host>/tenant/<uuid>'",
		"APS application 'Acme SaaS-2.1-7':\n\n  no answer": "APS application 'Acme SaaS-<n>': no " +
			"answer",
		"HTTP 502 for PRD-100-200-300, quantity 502": "HTTP 502 for PRD-<n>, quantity <n>",
		"failed at 2026-11-22T02:00:00.123Z, again 2026-11-22 02:10:11, last 3:10": "failed at <time>, again <time> <time>" +
			", last <n>",
		"connect to mn.example.net:6308 (10.0.0.12:443): Connection refused": "connect to <host> (<host>): Connection " +
			"refused",
		"localhost:80 and db.internal:5432": "localhost:<n> and <host>",
		"write to jo.doe@example.com!":      "write to <mail>!",
		"error_code #2007, extype_id #205, Subscription #2000123 already exists": "error_code #2007, extype_id #205, " +
			"Subscription #<n> already exists",
		"hash 0xdeadbeef12 and deadbeef":                  "hash <id> and deadbeef",
		"java.net.SocketTimeoutException: Read timed out": "java.net.SocketTimeoutException: Read timed out",
		"{\"status_code\": 504, \"detail\": null}":        "{\"status_code\": <n>, \"detail\": null}",
		"Störung 12: Vorgang ä9ö":                         "Störung <n>: Vorgang ä<n>ö",
		"status: 503":                                     "status: 503",
		"12,5 EUR 1.5":                                    "<n>,<n> EUR <n>",
	} {
		require.Equal(t, want, failure.Template(text), text)
	}
	require.NotEqual(t, failure.Template("502 Bad Gateway"), failure.Template("503 Bad Gateway"))
}

func TestTemplateIsCut(t *testing.T) {
	t.Parallel()
	long := failure.Template(strings.Repeat("wörter ", 1000))
	require.True(t, strings.HasSuffix(long, "…"))
	require.LessOrEqual(t, len(long), 410)
}

func FuzzFailureTemplate(f *testing.F) {
	for _, r := range reasons(f) {
		f.Add(r.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := failure.Template(text)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), 420)
		require.NotContains(t, got, "\n")
		require.Equal(t, got, strings.TrimSpace(got))
		if id := "d91c07aa"; !strings.Contains(text, id) {
			require.NotContains(t, failure.Template("id "+id+"-2a52-4c1d-9d0c-502503504000 "+text), id)
		}
	})
}
