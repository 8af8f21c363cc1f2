package failure_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// reason is a failure text of testdata/reasons.json and what it means.
type reason struct {
	Name    string        `json:"name"`
	Text    string        `json:"text"`
	Class   failure.Class `json:"class"`
	Pattern string        `json:"pattern"`
}

func reasons(t testing.TB) []reason {
	raw, err := os.ReadFile("testdata/reasons.json")
	require.NoError(t, err)
	var all []reason
	require.NoError(t, json.Unmarshal(raw, &all))
	return all
}

func TestClassifier(t *testing.T) {
	t.Parallel()
	for _, r := range reasons(t) {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			for _, text := range []string{r.Text, strings.ToUpper(r.Text), strings.ToLower(r.Text)} {
				class, pattern := failure.DefaultClassifier().Classify(text)
				require.Equal(t, r.Class, class, text)
				require.Equal(t, r.Pattern, pattern.ID, text)
			}
		})
	}
}

// Texts that public sources show, with ids of our own, and what they have to be taken for.
func TestClassifierWithTextsFromPublicSources(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/reasons_public.json")
	require.NoError(t, err)
	var all []struct {
		reason
		Source string `json:"source"`
	}
	require.NoError(t, json.Unmarshal(raw, &all))
	require.NotEmpty(t, all)
	for _, r := range all {
		require.True(t, strings.HasPrefix(r.Source, "https://"), r.Text)
		class, pattern := failure.DefaultClassifier().Classify(r.Text)
		require.Equal(t, r.Class, class, r.Text)
		require.Equal(t, r.Pattern, pattern.ID, r.Text)
	}
}

func TestBuiltInPatternsHaveATestAndASource(t *testing.T) {
	t.Parallel()
	proven := map[string]bool{}
	for _, r := range reasons(t) {
		proven[r.Pattern] = true
	}
	patterns := failure.DefaultClassifier().Patterns()
	require.NotEmpty(t, patterns)
	for _, p := range patterns {
		require.True(t, proven[p.ID], "no text in testdata/reasons.json is matched by %s", p.ID)
		require.NotEmpty(t, p.Source, p.ID)
	}
}

func TestClassifierTriesRefusalsFirst(t *testing.T) {
	t.Parallel()
	transient := false
	for _, p := range failure.DefaultClassifier().Patterns() {
		require.False(t, transient && p.Class != failure.Transient, "%s comes after a transient pattern", p.ID)
		transient = p.Class == failure.Transient
	}
}

func TestClassifierReadsLongTexts(t *testing.T) {
	t.Parallel()
	class, _ := failure.DefaultClassifier().Classify(strings.Repeat("0123456789 ", 10_000) + "Bad Gateway")
	require.Equal(t, failure.Transient, class)
}

func TestClassifierZeroValueIsTheDefault(t *testing.T) {
	t.Parallel()
	var none *failure.Classifier
	for _, c := range []*failure.Classifier{none, {}} {
		class, pattern := c.Classify("502 Bad Gateway")
		require.Equal(t, failure.Transient, class)
		require.Equal(t, "bad-gateway", pattern.ID)
		require.Equal(t, failure.DefaultClassifier().Patterns(), c.Patterns())
	}
}

func TestClassifierTriesUserPatternsFirst(t *testing.T) {
	t.Parallel()
	c, err := failure.NewClassifier(
		failure.Pattern{ID: "off", Class: failure.Unclassified, Match: []string{"timed out"}},
		failure.Pattern{ID: "quota", Class: failure.Permanent, Match: []string{"QUOTA", `/\bof \d+ seats\b/`}},
		failure.Pattern{ID: "whole", Class: failure.Permanent, Match: []string{"70 or 71"}},
		failure.Pattern{ID: "umlaut", Class: failure.Transient, Match: []string{"STÖRUNG"}},
	)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"Request to OA timed out":        "off",
		"Quota of 12 seats: 502":         "quota",
		"of 12 SEATS, the quota":         "quota",
		"quota":                          "",
		"Vorübergehende Störung im Netz": "umlaut",
		"170 or 71, 70 or 71.":           "whole",
		"170 or 71, 70 or 711":           "",
		"502 Bad Gateway":                "bad-gateway",
	} {
		_, pattern := c.Classify(text)
		require.Equal(t, want, pattern.ID, text)
	}
}

func TestNewClassifierRejectsInvalidPatterns(t *testing.T) {
	t.Parallel()
	good := failure.Pattern{ID: "a", Class: failure.Permanent, Match: []string{"x"}}
	for name, test := range map[string]struct {
		pattern failure.Pattern
		want    string
	}{
		"no id": {failure.Pattern{Class: failure.Permanent, Match: []string{"x"}},
			`failure: pattern "" (number 2): the id is empty`},
		"unknown class": {failure.Pattern{ID: "b", Class: "permanently", Match: []string{"x"}},
			`failure: pattern "b" (number 2): unknown class "permanently" (did you mean "permanent"?); known are transient,` +
				` permanent, alreadyProvisioned, unclassified`},
		"no match": {failure.Pattern{ID: "b", Class: failure.Permanent},
			`failure: pattern "b" (number 2): match is empty; give at least one text`},
		"blank match": {failure.Pattern{ID: "b", Class: failure.Permanent, Match: []string{"x", " "}},
			`failure: pattern "b" (number 2): match has the blank text " ", which would match almost anything`},
		"bad regexp": {failure.Pattern{ID: "b", Class: failure.Permanent, Match: []string{"/a(b/"}},
			"failure: pattern \"b\" (number 2): match \"/a(b/\": error parsing regexp: missing closing ): `(?i)a(b`"},
		"regexp for anything": {failure.Pattern{ID: "b", Class: failure.Permanent, Match: []string{"/a*/"}},
			`failure: pattern "b" (number 2): match "/a*/" matches the empty text and so everything`},
		"the same id twice": {good, `failure: pattern "a" (number 2): an earlier pattern has this id`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := failure.NewClassifier(good, test.pattern)
			require.EqualError(t, err, test.want)
		})
	}
	_, err := failure.NewClassifier(failure.Pattern{ID: "timed-out", Class: failure.Permanent, Match: []string{"x"}})
	require.ErrorContains(t, err, `failure: pattern "timed-out"`)
	require.ErrorContains(t, err, "a built-in pattern has this id; choose another one")
}

func TestSaveAndLoadPatterns(t *testing.T) {
	t.Parallel()
	patterns := []failure.Pattern{
		{ID: "a", Class: failure.Permanent, Match: []string{"x <y> & z", `/\bq\b/`}, Source: "ticket 4711"},
		{ID: "b", Class: failure.Unclassified, Match: []string{"Ż"}},
	}
	var file bytes.Buffer
	require.NoError(t, failure.SavePatterns(&file, patterns))
	loaded, err := failure.LoadPatterns(&file)
	require.NoError(t, err)
	require.Equal(t, patterns, loaded)
}

func TestLoadPatternsReportsWhereAMistakeIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, want string }{
		"not JSON": {`{"patterns": [}`,
			"failure: patterns: line 1, column 15: is not JSON: invalid character '}' looking for beginning of value"},
		"cut off": {`{"patterns": [`,
			"failure: patterns: line 1, column 14: is not JSON: unexpected end of JSON input"},
		"empty": {``, "failure: patterns: is empty"},
		"an unknown key": {`{"patterns": [{"id":"a","klass":"permanent"}]}`,
			`failure: patterns: line 1: patterns[0]: unknown key "klass" (did you mean "class"?)`},
		"no patterns": {`{"patterns": []}`, `failure: patterns: has no patterns: write {"patterns":[…]}`},
		"match as one text": {`{"patterns": [{"id":"a","class":"permanent","match":"x"}]}`,
			`failure: patterns: line 1: patterns[0].match: must be a list in square brackets, is "x"`},
		"more than one": {`{"patterns": [{"id":"a","class":"permanent","match":["x"]}]} {}`,
			"failure: patterns: line 1, column 62: is not JSON: invalid character '{' after top-level value"},
		"an unknown class": {`{"patterns": [{"id":"a","class":"final","match":["x"]}]}`,
			`failure: patterns: line 1: patterns[0]: unknown class "final"`},
		"a bad regexp": {`{"patterns": [{"id":"a","class":"permanent","match":["/(/"]}]}`,
			`failure: patterns: line 1: patterns[0]: match "/(/": error parsing regexp`},
		"an id that is used": {`{"patterns": [{"id":"http-500","class":"permanent","match":["x"]}]}`,
			"a built-in pattern has this id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patterns, err := failure.LoadPatterns(strings.NewReader(test.file))
			require.ErrorContains(t, err, test.want)
			require.Nil(t, patterns)
		})
	}
}

func TestLoadPatternFileNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "patterns.json")
	_, err := failure.LoadPatternsFile(path)
	require.ErrorContains(t, err, "patterns.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"patterns":[{"id":"q","class":"permanent","match":["quota"]}]}`),
		0o600))
	patterns, err := failure.LoadPatternsFile(path)
	require.NoError(t, err)
	require.Equal(t, []failure.Pattern{{ID: "q", Class: failure.Permanent, Match: []string{"quota"}}}, patterns)
	require.NoError(t, os.WriteFile(path, []byte(`{"patterns":[{"id":"q","klass":"permanent"}]}`), 0o600))
	_, err = failure.LoadPatternsFile(path)
	require.ErrorContains(t, err, "patterns.json")
	require.ErrorContains(t, err, "klass")
}

func FuzzLoadPatterns(f *testing.F) {
	for _, seed := range []string{
		`{"patterns":[{"id":"a","class":"permanent","match":["x","/y+/"],"source":"s"}]}`,
		`{"patterns":[]}`, `[]`, `{"patterns":[{"id":"a","class":"transient","match":["/(/"]}]}`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		patterns, err := failure.LoadPatterns(strings.NewReader(file))
		if err != nil {
			require.Nil(t, patterns)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		c, err := failure.NewClassifier(patterns...)
		require.NoError(t, err)
		class, _ := c.Classify(file)
		require.NotEmpty(t, class)
		var saved bytes.Buffer
		require.NoError(t, failure.SavePatterns(&saved, patterns))
		again, err := failure.LoadPatterns(&saved)
		require.NoError(t, err)
		require.Len(t, again, len(patterns))
	})
}

func FuzzClassify(f *testing.F) {
	for _, r := range reasons(f) {
		f.Add(r.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		class, pattern := failure.DefaultClassifier().Classify(text)
		require.Equal(t, pattern.ID == "", class == failure.Unclassified)
		upper, _ := failure.DefaultClassifier().Classify(strings.ToUpper(text))
		if isPlain(text) {
			require.Equal(t, class, upper, "case must not count")
		}
	})
}

func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	c := failure.DefaultClassifier()
	for _, text := range []string{transientText, unknownText} {
		require.Zero(t, testing.AllocsPerRun(100, func() { c.Classify(text) }))
	}
}

const (
	transientText = "APS Application Error:\n502 Bad Gateway\n[Failure] Provisioning: resource " +
		"7f0c1b6e-2a52-4c1d-9d0c-f5a1f50ba000 of type " +
		"'http://aps.example.com/saas/tenant/1.1' could not be provisioned for APS application 'Acme SaaS-2.1-7': no answer"
	unknownText = "APS Application Error:\n400 Bad Request\n[Failure] Provisioning: resource " +
		"7f0c1b6e-2a52-4c1d-9d0c-502a1f50ba00 of type " +
		"'http://aps.example.com/saas/tenant/1.1' could not be provisioned for APS application 'Acme SaaS-2.1-7': domain " +
		"is locked"
)

func BenchmarkClassify(b *testing.B) {
	for name, text := range map[string]string{"transient": transientText, "unclassified": unknownText} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				failure.DefaultClassifier().Classify(text)
			}
		})
	}
}

func TestSavePatternsRejectsInvalidPatterns(t *testing.T) {
	t.Parallel()
	for want, patterns := range map[string][]failure.Pattern{
		"has no patterns": nil,
		"unknown class":   {{ID: "x", Match: []string{"y"}}},
	} {
		var file bytes.Buffer
		require.ErrorContains(t, failure.SavePatterns(&file, patterns), want)
		require.Empty(t, file.Bytes())
	}
}
