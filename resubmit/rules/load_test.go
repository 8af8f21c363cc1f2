package rules_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func someRules() []rules.Rule {
	return []rules.Rule{
		{ID: "autodesk", Message: "*Autodesk error 7?*", Action: rules.Quarantine, Why: "cancel and order anew <now>"},
		{
			ID: "all", Types: []commerce.OrderType{"SO"}, Classes: []failure.Class{failure.Unclassified},
			Verdicts: []failure.Verdict{failure.Caused}, Requests: []connect.RequestStatus{rules.NoRequest},
			VendorAccounts: []string{"7"}, Channels: []commerce.Channel{commerce.ChannelDirect},
			Action: rules.Resubmit, Why: "it is ours",
		},
	}
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	for _, rls := range [][]rules.Rule{someRules(), {}} {
		var b bytes.Buffer
		require.NoError(t, rules.Save(&b, rls))
		path := filepath.Join(t.TempDir(), "rules.json")
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		got, err := rules.LoadFile(path)
		require.NoError(t, err)
		require.Equal(t, rls, got)
	}
	_, err := rules.LoadFile(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLoadRejectsInvalidRules(t *testing.T) {
	t.Parallel()
	const good = `{"id":"a","reason":"*x*","action":"hold","why":"y"}`
	with := func(old, other string) string {
		require.Contains(t, good, old)
		return `{"rules":[` + good[:1] + `"id":"first","reason":"*","action":"hold","why":"y"},` + strings.Replace(good, old,
			other, 1) + `]}`
	}
	tests := map[string]struct{ data, want string }{
		"nothing":          {``, `is empty`},
		"a slip in line 3": {"{\n\"rules\": [\n}", `line 3, column 1: is not JSON: invalid character '}'`},
		"a bare list":      {`[]`, `line 1: the top level: must be an object in braces, is []`},
		"another key":      {`{"rules":[],"regeln":[]}`, `line 1: unknown key "regeln"; known are rules`},
		"no rules":         {`{}`, `has no rules: write {"rules":[…]}`},
		"null rules":       {`{"rules":null}`, `line 1: rules: must be a list in square brackets, is null`},
		"a rule of text":   {`{"rules":["x"]}`, `line 1: rules[0]: must be an object in braces, is "x"`},
		"an unknown key": {with(`"reason"`, `"resaon"`),
			`line 1: rules[1]: unknown key "resaon" (did you mean "reason"?); known are id, types,`},
		"a key in capitals": {with(`"id"`, `"ID"`), `rules[1]: unknown key "ID"`},
		"no id":             {with(`"id":"a",`, ``), `rules[1].id: is missing`},
		"an id used twice":  {with(`"id":"a"`, `"id":"first"`), `rules[1].id: "first" is the id of rules[0] too`},
		"a default rule's id": {with(`"id":"a"`, `"id":"connect-none"`),
			`rules[1].id: "connect-none" is the id of a default rule`},
		"a planner rule's id": {with(`"id":"a"`, `"id":"order-unsettled"`), `is the id of a default rule`},
		"no why":              {with(`"why":"y"`, `"why":" "`), `rules[1].why: is missing`},
		"no action":           {with(`"action":"hold",`, ``), `rules[1].action: is missing; use one of complete, hold,`},
		"an unknown action": {with(`"hold"`, `"resend"`),
			`rules[1].action: unknown action "resend"; use one of complete, hold, manual, quarantine, resubmit, wait`},
		"no condition": {with(`"reason":"*x*",`, ``), `rules[1]: has no conditions`},
		"an unknown class": {with(`"reason":"*x*"`, `"classes":["temporary"]`),
			`rules[1].classes: unknown value "temporary"; use one of alreadyProvisioned,`},
		"an unknown verdict": {with(`"reason":"*x*"`, `"verdicts":["maybe"]`), `rules[1].verdicts: unknown value "maybe"`},
		"an unknown channel": {with(`"reason":"*x*"`, `"channels":[""]`),
			`rules[1].channels: unknown value ""; use one of direct, reseller`},
		"an empty vendor": {with(`"reason":"*x*"`, `"vendors":[""]`), `rules[1].vendors: has an empty value`},
		"text for a list": {with(`"reason":"*x*"`, `"types":"SO"`),
			`line 1: rules[1].types: must be a list in square brackets, is "SO"`},
		"a number for text": {with(`"reason":"*x*"`, `"reason":5`), `line 1: rules[1].reason: must be text in quotes, is 5`},
		"a null condition": {with(`"reason":"*x*"`, `"types":null,"reason":"*x*"`),
			`line 1: rules[1].types: must be a list in square brackets, is null`},
		"a key twice": {with(`"why":"y"`, `"why":"y","why":"z"`),
			`line 1: rules[1]: the key "why" is there twice: remove one`},
		"a line of its own": {"{\"rules\":[\n{\"id\":\"a\",\"why\":\"y\"},\n{\"id\":\"a\"}]}",
			`line 2: rules[0].action: is missing`},
		"too much of it": {strings.Repeat(" ", 9<<20), `is larger than the limit of 8388608 bytes: split it`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "rules.json")
			require.NoError(t, os.WriteFile(path, []byte(test.data), 0o600))
			_, err := rules.LoadFile(path)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "rules: "+path+": ")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestSaveWritesNothingIfARuleIsInvalid(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	rls := append(someRules(), rules.Rule{ID: "bare", Action: rules.Hold, Why: "x"})
	require.ErrorContains(t, rules.Save(&b, rls), "rules[2]: has no conditions")
	require.Empty(t, b.Bytes())
	require.ErrorIs(t, rules.Save(&brokenWriter{}, someRules()), errDiskFull)
}

func FuzzLoadRules(f *testing.F) {
	var b bytes.Buffer
	require.NoError(f, rules.Save(&b, someRules()))
	f.Add(b.Bytes())
	f.Add([]byte(`{"rules":[{"id":"a","ID":"b"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rls, err := rules.Load(bytes.NewReader(data))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		var b bytes.Buffer
		require.NoError(t, rules.Save(&b, rls))
		again, err := rules.Load(&b)
		require.NoError(t, err)
		require.Len(t, again, len(rls))
	})
}
