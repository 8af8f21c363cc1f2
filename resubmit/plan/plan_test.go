package plan_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

var update = flag.Bool("update", false, "write the golden files anew")

var planTime = time.Date(2026, 11, 22, 2, 30, 0, 0, time.UTC)

func planHeader() plan.Header {
	return plan.Header{
		CreatedAt: planTime.Add(6 * time.Hour),
		System:    "ordermanager https://mn.example.net:6308",
		View:      "Failed Orders",
		Filter:    "eq(class,transient)",
		Windows: []maintenance.Window{{
			ID: "w1", Title: "Release <26> & more", Start: planTime.Add(-time.Hour), End: planTime.Add(time.Hour),
		}},
		Weekly: []maintenance.Weekly{{
			ID: "weekly", Title: "Patches & <more>", Weekday: time.Saturday, Time: "02:00", Duration: 150 * time.Minute,
			Zone: "Europe/Berlin", Except: []string{"2026-12-26"}, From: "2026-01-03", Source: "windows.json",
		}},
		Rules:   []rules.Rule{{ID: "mine", Message: "*Autodesk 70*", Action: rules.Quarantine, Why: "order anew"}},
		Policy:  json.RawMessage(`{"settleDelay":"2m0s"}`),
		Journal: plan.Position{Journal: "journal-1", Sequence: 1<<64 - 1, Hash: "ab"},
	}
}

func planEntries() []*plan.Entry {
	full := &plan.Entry{
		OrderID: "00000000-0000-4000-8000-000000000001", Number: "SO000001", Type: commerce.TypeSales,
		VendorAccountID: "1", Channel: commerce.ChannelReseller, Customer: "Ünïcode & <Sons> \u2028 (42)", CustomerID: "42",
		Subscriptions: []string{"1000001", "1000002"}, TenantID: "tenant-1",
		Total: commerce.Money{Amount: decimal.RequireFromString("12.50"), Currency: "USD"},
		Before: plan.Snapshot{
			Status: commerce.StatusProvisioningFailed, ProvisioningStatus: commerce.ProvisioningFailed,
			Message:  "APS Application Error:\n\"503 Service\\Unavailable\"\t\x01",
			PlacedAt: planTime.Add(-time.Minute), FailedAt: planTime.Add(time.Nanosecond),
		},
		Attribution: failure.Attribution{
			Verdict: failure.Caused, Class: failure.Transient, WindowID: "w1",
			Evidence: []failure.Evidence{
				{Kind: "reason", Text: "the reason is transient", Ref: "503"},
				{Kind: "window", Text: "the order failed in the window", Ref: "w1", At: planTime},
			},
		},
		Decision: rules.Decision{Action: rules.Resubmit, RuleID: "connect-none", Why: "the call never reached Connect",
			Flagged: true},
		Target: commerce.StatusPaid, Version: 1<<64 - 1, Named: true,
	}
	bare := &plan.Entry{
		OrderID: "2", Type: commerce.TypeRenewal,
		Before:      plan.Snapshot{Status: commerce.StatusProvisioningFailed},
		Attribution: failure.Attribution{Verdict: failure.UnknownCause, Class: failure.Unclassified},
		Decision:    rules.Decision{Action: rules.Hold, RuleID: "reason-unclassified", Why: "no reason is known"},
	}
	waiting := &plan.Entry{
		OrderID: "3", Type: commerce.TypeChange,
		Before:      plan.Snapshot{Status: commerce.StatusProvisioningFailed},
		Attribution: failure.Attribution{Verdict: failure.Likely, Class: failure.Transient},
		Decision:    rules.Decision{Action: rules.Wait, RuleID: "order-unsettled", Why: "it failed a minute ago"},
		Version:     1, Due: planTime.Add(7 * time.Hour),
	}
	entries := []*plan.Entry{full, bare, waiting}
	for _, e := range entries {
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	}
	return entries
}

func writePlan(t testing.TB, entries ...*plan.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, planHeader())
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, w.Write(e))
	}
	_, _, err = w.Close()
	require.NoError(t, err)
	return b.Bytes()
}

func readPlan(data []byte) (*plan.Plan, error) {
	return plan.Read(bytes.NewReader(data), int64(len(data)))
}

func entriesOf(t testing.TB, p *plan.Plan) []*plan.Entry {
	t.Helper()
	var out []*plan.Entry
	for e, err := range p.Entries() {
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

func TestWriterAndOpen(t *testing.T) {
	t.Parallel()
	data := writePlan(t, planEntries()...)
	path := filepath.Join("testdata", "plan.golden.jsonl")
	if *update {
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	golden, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(golden), string(data))

	p, err := plan.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	want := planHeader()
	want.Kind, want.Version = "cloudblue-resubmit-plan", 3
	require.Equal(t, want, p.Header())
	require.Equal(t, plan.ActionCounts{Total: 3, Resubmit: 1, Wait: 1, Hold: 1}, p.Counts())
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, p.Digest())
	for range 2 {
		got := entriesOf(t, p)
		require.Len(t, got, 3)
		for i, e := range planEntries() {
			requireSameEntry(t, e, got[i])
		}
	}
}

// requireSameEntry compares amounts as they print, since one number has many forms.
func requireSameEntry(t require.TestingT, want, got *plan.Entry) {
	require.Equal(t, want.Total.String(), got.Total.String())
	a, b := *want, *got
	a.Total.Amount, b.Total.Amount = decimal.Zero, decimal.Zero
	require.Equal(t, a, b)
}

func TestWriterWritesWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry(t)
		var b, want bytes.Buffer
		w, err := plan.NewWriter(&b, planHeader())
		require.NoError(t, err)
		require.NoError(t, w.Write(e))
		counts, digest, err := w.Close()
		require.NoError(t, err)

		lines := strings.SplitAfter(b.String(), "\n")
		require.Len(t, lines, 4)
		var back plan.Entry
		require.NoError(t, json.Unmarshal([]byte(lines[1]), &back))
		requireSameEntry(t, e, &back)
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		type fields plan.Entry // without its own encoding
		require.NoError(t, enc.Encode((*fields)(e)))
		if e.Total.Amount.Exponent() >= 0 { // else ours may have more zeros
			require.Equal(t, escapeHidden(want.String()), lines[1])
		}

		plan, err := readPlan(b.Bytes())
		require.NoError(t, err)
		require.Equal(t, counts, plan.Counts())
		require.Equal(t, digest, plan.Digest())
		for got, err := range plan.Entries() {
			require.NoError(t, err)
			requireSameEntry(t, e, got)
		}
	})
}

func TestEntryKeepsEverythingThroughEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry(t)
		if e.Due = e.Before.PlacedAt; !e.Due.IsZero() {
			e.Target, e.Decision.Action = "", rules.Wait
		}
		b, err := json.Marshal([]any{e, *e})
		require.NoError(t, err)
		var back []plan.Entry
		require.NoError(t, json.Unmarshal(b, &back))
		require.Len(t, back, 2)
		for _, got := range back {
			require.Equal(t, string(e.AppendJSON(nil)), string(got.AppendJSON(nil)))
		}
	})
	full, err := json.Marshal(planEntries()[0])
	require.NoError(t, err)
	require.Contains(t, string(full), `"amount":"12.50"`)
	for old, bad := range map[string]string{
		`"amount":"12.50"`:       `"amount":"1e2000000000"`,
		`"2026-11-22T02:29:00Z"`: `"0000-01-01T00:00:00+12:00"`,
		`"id":`:                  `"id":1,"ID":`,
	} {
		require.Contains(t, string(full), old)
		require.Error(t, json.Unmarshal(bytes.Replace(full, []byte(old), []byte(bad), 1), new(plan.Entry)), bad)
	}
	e := planEntries()[0]
	e.Total.Amount = decimal.New(1, 2_000_000_000)
	_, err = json.Marshal(e)
	require.ErrorContains(t, err, "total: a number must have at most 64 characters")
}

// escapeHidden escapes what a plan escapes beyond encoding/json.
func escapeHidden(line string) string {
	var b strings.Builder
	for _, r := range line {
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String()
}

func genEntry(t *rapid.T) *plan.Entry {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a\"b\\c\n\r\t\b\f\x00\x1f\x7f", "<&>",
		"\u2028\u2029\uFFFD", "日本語 🎉", "\u009b\u202e\u200d\ue000\U000e0041\U0010ffff",
		"a},", "},\"fingerprint\":\"", "},\"decision\":{\"action\":\"resubmit\","}))
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
	e := &plan.Entry{
		OrderID: "o" + text.Draw(t, "id"), Number: text.Draw(t, "number"), Type: commerce.OrderType(text.Draw(t, "type")),
		VendorAccountID: text.Draw(t, "vendor"), Channel: commerce.Channel(text.Draw(t, "channel")),
		Customer: text.Draw(t, "customer"),
		TenantID: text.Draw(t, "tenant"),
		Before: plan.Snapshot{
			Status: commerce.Status(text.Draw(t, "status")), ProvisioningStatus: commerce.ProvisioningStatus(text.Draw(t,
				"prov")),
			Message: text.Draw(t, "reason"), PlacedAt: instant.Draw(t, "placed"), FailedAt: instant.Draw(t, "failed"),
		},
		Attribution: failure.Attribution{
			Verdict: rapid.SampledFrom([]failure.Verdict{failure.Caused, failure.Likely, failure.Unrelated,
				failure.UnknownCause}).Draw(t, "verdict"),
			Class: rapid.SampledFrom([]failure.Class{failure.Transient, failure.Permanent, failure.Unclassified,
				failure.AlreadyProvisioned}).Draw(t, "class"),
			WindowID: text.Draw(t, "window"),
		},
		Decision: rules.Decision{Action: rules.Resubmit, RuleID: text.Draw(t, "rule"), Why: text.Draw(t, "why"),
			Flagged: rapid.Bool().Draw(t, "flagged")},
		Target:  commerce.Status(text.Draw(t, "target")),
		Version: rapid.Uint64().Draw(t, "version"), Named: rapid.Bool().Draw(t, "named"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "subscriptions") {
		e.Subscriptions = append(e.Subscriptions, text.Draw(t, "subscription"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "evidence") {
		e.Attribution.Evidence = append(e.Attribution.Evidence, failure.Evidence{
			Kind: text.Draw(t, "kind"), Text: text.Draw(t, "text"), Ref: text.Draw(t, "ref"), At: instant.Draw(t, "at"),
		})
	}
	if rapid.Bool().Draw(t, "money") {
		e.Total = commerce.Money{Amount: decimal.New(rapid.Int64().Draw(t, "value"), rapid.Int32Range(-12, 6).Draw(t, "exp")),
			Currency: text.Draw(t, "currency")}
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	return e
}

func TestPlanDueIsThatOfTheFirstOrder(t *testing.T) {
	t.Parallel()
	entries := planEntries()
	p, err := readPlan(writePlan(t, entries[:2]...))
	require.NoError(t, err)
	require.Zero(t, p.Due())
	for _, hour := range []int{9, 8} {
		entries = append(entries, diffEntry(hour, func(e *plan.Entry) {
			e.Before.PlacedAt = time.Time{}
			e.Decision.Action, e.Target, e.Due = rules.Wait, "", planTime.Add(time.Duration(hour)*time.Hour)
		}))
	}
	p, err = readPlan(writePlan(t, entries...))
	require.NoError(t, err)
	require.Equal(t, planTime.Add(7*time.Hour), p.Due())
}

func TestReadDetectsEveryChangedByte(t *testing.T) {
	t.Parallel()
	data := writePlan(t, planEntries()...)
	for i := 0; i < len(data); i += testkit.Scale(1, 5) {
		for _, flip := range []byte{1 << (i % 8), ' '} { // the latter turns a into A
			edited := bytes.Clone(data)
			edited[i] ^= flip
			_, err := readPlan(edited)
			require.Error(t, err, "byte %d: %q", i, edited)
			require.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestReadDetectsTruncation(t *testing.T) {
	t.Parallel()
	data := writePlan(t, planEntries()...)
	for n := 0; n < len(data); n += testkit.Scale(1, 5) {
		_, err := readPlan(data[:n])
		require.Error(t, err, "cut off at byte %d", n)
	}
}

func TestOpenReadsOlderVersionsForReadingOnly(t *testing.T) {
	t.Parallel()
	for version, customer := range map[int]string{1: "Ünïcode & <Sons> \u2028", 2: "Ünïcode & <Sons> \u2028 (42)"} {
		p, err := plan.Open(filepath.Join("testdata", fmt.Sprintf("plan.v%d.golden.jsonl", version)))
		require.NoError(t, err)
		require.Equal(t, version, p.Header().Version)
		require.Equal(t, plan.ActionCounts{Total: 2, Resubmit: 1, Hold: 1}, p.Counts())
		entries := entriesOf(t, p)
		require.Len(t, entries, 2)
		require.Equal(t, customer, entries[0].Customer)
		require.Zero(t, entries[0].Version)
		require.Equal(t, 1, p.Index().Len())
		counts, err := plan.Diff(p, p, nil)
		require.NoError(t, err)
		require.Equal(t, 2, counts.Same)
		require.ErrorIs(t, p.CheckJournal(), plan.ErrNoJournal)
		require.ErrorContains(t, p.CheckJournal(), "make a new plan")
		require.NoError(t, p.Close())
	}
	require.NoError(t, goodPlan(t).CheckJournal())
}

func TestOpenRejectsDamagedPlans(t *testing.T) {
	t.Parallel()
	good := string(writePlan(t, planEntries()...))
	lines := strings.SplitAfter(good, "\n")
	replace := func(old, with string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, with, 1)
	}
	tests := map[string]struct{ data, want string }{
		"an empty file":            {"", `line 1: the file is empty; make a new plan`},
		"another kind of file":     {"{\"id\":1}\n", `line 1: this is not a plan`},
		"no JSON":                  {"PK\x03\x04\n", `line 1: this is not a plan`},
		"a header alone":           {lines[0], `line 2: the last line, with counts and digest, is missing`},
		"a plan cut off":           {good[:len(good)-30], `line 5: the last line, with counts and digest, is missing`},
		"a missing last line feed": {good[:len(good)-1], `line 5: the last line, with counts and digest, is missing`},
		"two plans joined":         {good + good, `line 6: there is content after the last line`},
		"a later version": {replace(`"version":3`, `"version":4`),
			`line 1: the plan has version 4, this library reads versions 1 to 3`},
		"an unknown header field": {replace(`"view":`, `"vista":`), `line 1: header: unknown field "vista"`},
		"an unknown entry field":  {replace(`,"fingerprint":`, `,"extra":1,"fingerprint":`), `found ",\"extra\":1,`},
		"fields in another order": {replace(`"type":"SO","vendor":"1"`, `"vendor":"1","type":"SO"`), `want ,"type":`},
		"a removed entry":         {lines[0] + lines[1] + lines[3] + lines[4], `line 4: the counts do not match`},
		"a doubled entry":         {lines[0] + lines[1] + lines[2] + lines[2] + lines[3] + lines[4], `line 6: the counts do not match`},
		"a changed action":        {replace(`"action":"hold"`, `"action":"resubmit"`), `line 5: the counts do not match`},
		"an unknown action": {replace(`"action":"hold"`, `"action":"resend"`),
			`line 3: order 2: unknown action "resend"`},
		"an unknown class": {replace(`"class":"transient"`, `"class":"trans"`),
			`line 2: order 00000000-0000-4000-8000-000000000001: unknown class "trans"`},
		"an unknown verdict": {replace(`"verdict":"caused"`, `"verdict":"c"`), `unknown verdict "c"`},
		"another order": {replace(`"id":"2"`, `"id":"3"`),
			`line 3: order 3: the fingerprint does not match the order and its state`},
		"another state": {replace(`"status":"PF"`, `"status":"PR"`),
			`the fingerprint does not match the order and its state`},
		"a target of a held order": {replace(`no reason is known"}`, `no reason is known"},"target":"PD"`),
			`line 3: order 2: has the target "PD"`},
		"a text that is not UTF-8": {replace(`no reason is known`, "no reason is known\x80"), `is not UTF-8`},
		"a control character":      {replace(`no reason is known`, "no reason\x1fis known"), `a control character inside`},
		"a due time of a held order": {
			replace(`no reason is known"}`, `no reason is known"},"due":"2026-11-23T08:00:00Z"`),
			`line 3: order 2: is due 2026-11-23T08:00:00Z but does not wait`,
		},
		"a record version of zero": {replace(`,"version":1,`, `,"version":0,`), `want a number from 1 to 2^64-1`},
		"a record version of 65 bits": {replace(`,"version":18446744073709551615,`, `,"version":18446744073709551616,`),
			`want a number from 1 to 2^64-1`},
		"a record version that is none": {replace(`,"version":1,`, `,"version":x,`), `want a number from 1 to 2^64-1`},
		"another record version":        {replace(`,"version":1,`, `,"version":2,`), `line 5: the digest does not match`},
		"another position of the journal": {replace(`"sequence":18446744073709551615`, `"sequence":18446744073709551614`),
			`line 5: the digest does not match`},
		"another customer": {replace(`<Sons>`, `<sons>`), `line 5: the digest does not match the content`},
		"a digest in capitals": {replace(`"digest":"sha256:`, `"digest":"SHA256:`),
			`line 5: the digest does not match the content`},
		"Windows line ends":   {strings.ReplaceAll(good, "\n", "\r\n"), `line 2: byte`},
		"a time that is none": {replace(`"placedAt":"2026-11-22T`, `"placedAt":"2026-13-22T`), `is not a time like`},
		"a number with an exponent": {
			replace(`"amount":"12.50"`, `"amount":"1e9"`), `"1e9" is not an amount like 12.5`,
		},
		"a line without bound": {lines[0] + strings.Repeat("x", 17<<20), `line 2: the line is longer than 16777216 bytes`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plan.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(test.data), 0o600))
			_, err := plan.Open(path)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "plan: "+path+": line ")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestEntriesDistinguishesTextsThatLookLikeEscapesOfEachOther(t *testing.T) {
	t.Parallel()
	var entries []*plan.Entry
	for n, why := range []string{`a\b`, `a\b`, "a\b", "a\b", `a\b`, "a\b", "ab", "ab", `a\u0062`, `a\u0062`, "ab"} {
		entries = append(entries, diffEntry(n, func(e *plan.Entry) { e.Decision.Why = why }))
	}
	p, err := readPlan(writePlan(t, entries...))
	require.NoError(t, err)
	for i, got := range entriesOf(t, p) {
		require.Equal(t, entries[i].Decision.Why, got.Decision.Why)
	}
}

func TestOpenRejectsMissingFilesAndFolders(t *testing.T) {
	t.Parallel()
	_, err := plan.Open(filepath.Join(t.TempDir(), "none.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = plan.Open(t.TempDir())
	require.ErrorContains(t, err, "is not a regular file")
}

func TestEntriesDetectsAFileChangedSinceOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	data := writePlan(t, planEntries()...)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	plan, err := plan.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, plan.Close()) }()

	edited := bytes.Replace(data, []byte(`"action":"hold"`), []byte(`"action":"wait"`), 1)
	require.NoError(t, os.WriteFile(path, edited, 0o600))
	var yielded int
	for e, err := range plan.Entries() {
		yielded++
		require.Nil(t, e)
		require.ErrorContains(t, err, "the file was changed after it was opened")
	}
	require.Equal(t, 1, yielded, "the error, once")
}

func TestEntriesCanBeRangedOverTwiceAndLeftEarly(t *testing.T) {
	t.Parallel()
	var entries []*plan.Entry
	for i := range 3000 {
		e := *planEntries()[0]
		e.OrderID = fmt.Sprint("order-", i)
		if i%1000 == 999 { // longer than a block
			e.Before.Message = strings.Repeat("a long story. ", 40_000)
		}
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		entries = append(entries, &e)
	}
	plan, err := readPlan(writePlan(t, entries...))
	require.NoError(t, err)
	for e, err := range plan.Entries() {
		require.NoError(t, err)
		require.Equal(t, "order-0", e.OrderID)
		break
	}
	got := entriesOf(t, plan)
	require.Len(t, got, 3000)
	for i := range got {
		requireSameEntry(t, entries[i], got[i])
	}
}

func TestWriterRejectsInvalidEntries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*plan.Entry)
		want   string
	}{
		"no id":          {func(e *plan.Entry) { e.OrderID = "" }, "the order has no id"},
		"no action":      {func(e *plan.Entry) { e.Decision.Action = "" }, `unknown action ""`},
		"a false print":  {func(e *plan.Entry) { e.Fingerprint = "x" }, "the fingerprint does not match"},
		"a giant amount": {func(e *plan.Entry) { e.Total.Amount = decimal.New(1, 90) }, "total: "},
		"a tiny amount": {func(e *plan.Entry) { e.Total.Amount = decimal.New(1, -2_000_000_000) },
			"total: a number must have at most 64 characters"},
		"a line too long": {func(e *plan.Entry) { e.Customer = strings.Repeat("x", 17<<20) },
			"more than the 16777216 of a line"},
		"an older order": {func(e *plan.Entry) { e.Before.PlacedAt = planTime.Add(-time.Hour) },
			"orders must be sorted oldest first"},
		"a target on hold":  {func(e *plan.Entry) { e.Decision.Action = rules.Hold }, `has the target "PD"`},
		"a class of no one": {func(e *plan.Entry) { e.Attribution.Class = "" }, `unknown class ""`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			w, err := plan.NewWriter(&b, planHeader())
			require.NoError(t, err)
			require.NoError(t, w.Write(planEntries()[0]))
			e := planEntries()[0]
			sound := e.Fingerprint
			test.change(e)
			if e.Fingerprint == sound {
				e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
			}
			require.ErrorContains(t, w.Write(e), test.want)
			require.ErrorContains(t, w.Write(planEntries()[0]), test.want, "the plan is lost")
			_, _, err = w.Close()
			require.ErrorContains(t, err, test.want)
			_, err = readPlan(b.Bytes())
			require.Error(t, err)
		})
	}
}

type brokenWriter struct{ after int }

var errDiskFull = errors.New("disk full")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, errDiskFull
	}
	return len(b), nil
}

func TestWriterReportsErrorsOfTheUnderlyingWriter(t *testing.T) {
	t.Parallel()
	whole := len(writePlan(t, planEntries()...))
	for _, after := range []int{0, whole - 1} {
		w, err := plan.NewWriter(&brokenWriter{after: after}, planHeader())
		require.NoError(t, err)
		for _, e := range planEntries() {
			require.NoError(t, w.Write(e))
		}
		_, digest, err := w.Close()
		require.ErrorIs(t, err, errDiskFull)
		require.Empty(t, digest)
	}
}

func FuzzReadPlan(f *testing.F) {
	f.Add(writePlan(f, planEntries()...))
	f.Add(writePlan(f))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := readPlan(data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		// What is a plan has entries that can be written again.
		var b bytes.Buffer
		w, err := plan.NewWriter(&b, p.Header())
		require.NoError(t, err)
		for e, err := range p.Entries() {
			require.NoError(t, err)
			require.NoError(t, w.Write(e))
		}
		counts, _, err := w.Close()
		require.NoError(t, err)
		require.Equal(t, p.Counts(), counts)
	})
}

// FuzzEntry puts a line into a plan that is otherwise sound, and compares the decoder with encoding/json.
func FuzzEntry(f *testing.F) {
	for _, e := range planEntries() {
		f.Add(string(e.AppendJSON(nil)))
	}
	full := string(planEntries()[0].AppendJSON(nil))
	const at, amount, lane = `"at":"2026-11-22T02:30:00Z"`, `"12.50"`, `"1000001"`
	for _, change := range [][2]string{
		{at, `"at":"2026-11-22T2:30:00Z"`}, {at, `"at":"2026-11-22T02:30:00,5Z"`},
		{at, `"at":"2026-11-22T02:30:00.50+25:00"`}, {at, `"at":"0000-01-01T02:30:00+12:00"`},
		{at, `"at":"2026-11-22T02:30:00\u005a"`}, {at, `"at":"0001-01-01T00:00:00Z"`}, {at, `"at":""`},
		{amount, `"1."`}, {amount, `"01"`}, {amount, `"-0"`}, {amount, `"-0.00"`}, {amount, `"1e3"`}, {amount, `""`},
		{amount, `"1\u0030"`}, {amount, `"1_0"`}, {amount, `12.50`}, {lane, `"\ud800"`}, {lane, `"\u0000\u202e"`},
		{lane, `""`}, {lane, `"` + "\x01" + `"`}, {lane, `"` + "\xff" + `"`},
		{`,"subscriptions":["1000001","1000002"]`, `,"subscriptions":[]`},
		{`"tenant":"tenant-1"`, `"tenant":""`}, {`"named":true`, `"named":false`},
		{`"version":18446744073709551615`, `"version":01`},
		{`,"total":{"amount":"12.50","currency":"USD"}`, `,"total":{"amount":"0","currency":""}`},
	} {
		if !strings.Contains(full, change[0]) {
			f.Fatal(change[0])
		}
		f.Add(strings.Replace(full, change[0], change[1], 1))
	}
	header, _, _ := bytes.Cut(writePlan(f), []byte("\n"))
	f.Fuzz(func(t *testing.T, line string) {
		var want plan.Entry
		unmarshaled := json.Unmarshal([]byte(line), &want)
		counts := map[rules.Action]int{want.Decision.Action: 1}
		data := fmt.Appendf(nil, `%s%c%s%c{"counts":{"total":1`, header, '\n', line, '\n')
		for _, a := range rules.Actions() {
			data = fmt.Appendf(data, `,%q:%d`, a, counts[a])
		}
		data = append(data, `},"digest":"`...)
		data = fmt.Appendf(data, `sha256:%x"}%c`, sha256.Sum256(data), '\n')
		p, err := readPlan(data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NoError(t, unmarshaled)
		for e, err := range p.Entries() {
			require.NoError(t, err)
			require.Equal(t, string(want.AppendJSON(nil)), string(e.AppendJSON(nil)))
		}
		require.Equal(t, counts[rules.Resubmit], p.Index().Len())
		if p.Index().Len() > 0 {
			e, err := p.Index().Entry(0)
			require.NoError(t, err)
			require.Equal(t, string(want.AppendJSON(nil)), string(e.AppendJSON(nil)))
		}
		var b bytes.Buffer
		w, err := plan.NewWriter(&b, p.Header())
		require.NoError(t, err)
		require.NoError(t, w.Write(&want))
	})
}

func TestWriterRejectsUnreadableValues(t *testing.T) {
	t.Parallel()
	year12000 := time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		change func(*plan.Entry)
		want   string
	}{
		"a year of five digits": {func(e *plan.Entry) { e.Before.PlacedAt = year12000 },
			"the year 12000 of a time is not between 0 and 9999"},
		"a year before Christ": {func(e *plan.Entry) { e.Before.FailedAt = year12000.AddDate(-12005, 0, 0) },
			"the year -5 of a time"},
		"such evidence":     {func(e *plan.Entry) { e.Attribution.Evidence[0].At = year12000 }, "evidence: the year 12000"},
		"an id of bytes":    {func(e *plan.Entry) { e.OrderID = "a\xffb" }, "is not UTF-8"},
		"a status of bytes": {func(e *plan.Entry) { e.Before.Status = "a\xffb" }, "is not UTF-8"},
	} {
		e := planEntries()[0]
		test.change(e)
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		w, err := plan.NewWriter(io.Discard, planHeader())
		require.NoError(t, err)
		require.ErrorContains(t, w.Write(e), test.want, name)
		_, _, err = w.Close()
		require.ErrorContains(t, err, test.want, name)
	}
}

func TestOpenEachReportsEveryEntryWithItsOffset(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	content := writePlan(t, planEntries()...)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	var numbers []string
	var offsets []int64
	p, err := plan.OpenEach(path, func(e *plan.Entry, offset int64) {
		numbers, offsets = append(numbers, strings.Clone(e.Number)), append(offsets, offset)
	})
	require.NoError(t, err)
	defer p.Close()
	for i, want := range entriesOf(t, p) {
		require.Equal(t, want.Number, numbers[i])
		got, err := p.EntryAt(offsets[i])
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Len(t, offsets, p.Counts().Total)
	for _, wrong := range []int64{-1, 3, offsets[0] + 1, int64(len(content)) - 5, int64(len(content)), 1 << 40} {
		_, err := p.EntryAt(wrong)
		require.Error(t, err, wrong)
	}
}
