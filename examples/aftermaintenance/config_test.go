package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// Every setting is in the README, and its example can be read.
func TestREADMEDescribesTheConfiguration(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(readme), "### Configuration\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	_, example, _ := strings.Cut(section, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	c, err := configFormat.Read(strings.NewReader(example))
	require.NoError(t, err)
	require.NotZero(t, c.Policy.SettleDelay)
	_, err = c.limits()
	require.NoError(t, err)
	for _, key := range keysOf(reflect.TypeFor[config]()) {
		require.Regexp(t, "[`\"]"+key+"[`\"]", section)
	}
	for _, block := range regexp.MustCompile("(?s)<<'END'\n(.*?)END\n").FindAllStringSubmatch(string(readme), -1) {
		_, err := configFormat.Read(strings.NewReader(block[1]))
		require.NoError(t, err, block[1])
	}
}

// keysOf returns the keys of a struct and of those in it.
func keysOf(typ reflect.Type) (keys []string) {
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[maintenance.Weekly]() {
		return nil
	}
	for _, f := range reflect.VisibleFields(typ) {
		if key := f.Tag.Get("json"); key != "" {
			keys = append(append(keys, key), keysOf(f.Type)...)
		}
	}
	return keys
}

func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	w, env, _ := live(t)
	for name, c := range map[string]struct{ settings, says string }{
		"an unknown key":       {`{"comerce": {}}`, `config.json: line 1: unknown key "comerce" (did you mean "commerce"?)`},
		"a secret":             {`{"commerce": {"token": "s3cret"}}`, `unknown key "token"`},
		"a duration":           {`{"policy": {"settleDelay": "4 minutes"}}`, `"4 minutes" is not a duration`},
		"a number":             {`{"policy": {"settleDelay": 4}}`, "policy.settleDelay"},
		"a zone":               {`{"timeZone": "Mars/Base"}`, `timeZone: there is no time zone "Mars/Base"`},
		"money":                {`{"limits": {"maxMoney": ["much"]}}`, `"much" is not an amount`},
		"rules":                {`{"rules": ["nowhere.json"]}`, "nowhere.json"},
		"patterns":             {`{"patterns": ["nowhere.json"]}`, "nowhere.json"},
		"views":                {`{"views": "nowhere.json"}`, "nowhere.json"},
		"a view":               {`{"view": "mine"}`, `there is no view "mine"`},
		"a signature":          {`{"require": true}`, `"require" needs "approvers"`},
		"a calendar":           {`{"windows": {"calendars": [{"name": "x"}]}}`, "windows.calendars[0]: give either url or file"},
		"a secret calendar":    {`{"windows": {"calendars": [{"url": "$FEED"}]}}`, "the environment variable FEED is empty"},
		"a status page":        {`{"windows": {"statusPages": [{"url": "ftp://x"}]}}`, "windows.statusPages[0]"},
		"a message":            {`{"notify": {"url": "http://x"}}`, "-notify: give an https:// URL"},
		"an unsigned one":      {`{"notify": {"url": "https://x"}}`, "NOTIFY_SECRET"},
		"orders in no message": {`{"notify": {"orders": true}}`, "-notify-orders needs -notify"},
		"how to apply":         {`{"run": {"concurrency": -3}}`, "concurrency is -3"},
		"a secret in a file":   {`{"secretFiles": {"CONNECT_API_KEY": "nowhere"}}`, "CONNECT_API_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			configure(t, dir, c.settings)
			windows := filepath.Join(dir, "windows.json")
			require.NoError(t, os.WriteFile(windows, []byte(`{"windows": []}`), 0o600))
			status, stdout, stderr := do(t, env, "-state", dir, "-commerce", w.CommerceURL, "-connect", w.ConnectURL, "-windows",
				windows, "run", "-wait-at-most", "0s", "-from", "1m ago")
			require.Contains(t, []int{exitError, exitUsage}, status, stderr)
			require.Empty(t, stdout)
			require.Contains(t, errorLine(t, stderr), c.says)
			require.NotContains(t, stderr, "s3cret")
			require.NoFileExists(t, filepath.Join(dir, "journal"))
		})
	}
}

func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	file := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(env[name]+"\n"), 0o600))
		return path
	}
	files := map[string]string{"COMMERCE_TOKEN_FILE": file("COMMERCE_TOKEN")}
	configure(t, stateOf(flags), strings.TrimSuffix(fastSettings, "}")+`, "secretFiles": {"CONNECT_API_KEY": "`+
		file("CONNECT_API_KEY")+`"}}`)
	done(t, files, with(flags, "list")...)
	files["COMMERCE_TOKEN"] = "twice"
	requireRejected(t, files, with(flags, "list"), exitUsage, "COMMERCE_TOKEN is given more than once")
	require.Empty(t, w.Commerce.Pushes())
}

// The windows of feeds are those of plans.
func TestWindowsOfCalendarsAndStatusPages(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	start, end := w.Window.Start.UTC(), w.Window.End.UTC()
	feeds := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/calendar.ics" {
			const stamp = "20060102T150405Z"
			event := "BEGIN:VEVENT\nUID:%s@example.com\nSUMMARY:%[1]s\nDTSTAMP:%[2]s\nDTSTART:%[2]s\nDTEND:%[3]s\nEND:VEVENT\n"
			text := "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n"
			for _, summary := range []string{"Connect", "Lunch"} {
				text += fmt.Sprintf(event, summary, start.Format(stamp), end.Format(stamp))
			}
			_, _ = out.Write([]byte(strings.ReplaceAll(text+"END:VCALENDAR\n", "\n", "\r\n")))
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/scheduled-maintenances.json") {
			http.NotFound(out, r)
			return
		}
		fmt.Fprintf(out, `{"page":{"id":"p1","name":"Demo","url":"https://status.example.com","time_zone":"Etc/UTC",
			"updated_at":%[1]q},"scheduled_maintenances":[{"id":"m1","name":"Connect upgrade","status":"completed",
			"impact":"maintenance","scheduled_for":%[1]q,"scheduled_until":%[2]q,"created_at":%[1]q,"updated_at":%[2]q,
			"components":[{"id":"c1","name":"Connect API","status":"operational","group":false}]}]}`,
			start.Format(time.RFC3339), end.Format(time.RFC3339))
	}))
	defer feeds.Close()
	env["FEED"] = feeds.URL + "/calendar.ics"
	for name, windows := range map[string]string{
		"team":   `{"calendars": [{"name": "team", "url": "$FEED", "summary": ["Connect"]}]}`,
		"status": `{"statusPages": [{"name": "status", "url": "` + feeds.URL + `", "components": ["Connect API"]}]}`,
	} {
		i := slices.Index(flags, "-windows")
		args := slices.Concat(flags[:i], flags[i+2:])
		configure(t, stateOf(flags), strings.TrimSuffix(fastSettings, "}")+`, "windows": `+windows+`}`)
		stdout, _ := done(t, env, with(args, "plan", "-caused", "-json")...)
		d := decode(t, stdout)
		require.Len(t, d.Windows, 1, name)
		require.Contains(t, d.Windows[0].ID, name)
		require.Equal(t, start.Truncate(time.Second), d.Windows[0].Announced.Start)
		require.Positive(t, d.Windows[0].Attributed)
	}
	require.Empty(t, w.Commerce.Pushes())
}
