package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
)

// through is live with the flags for one of the APIs, and settings of it in JSON.
func through(t *testing.T, via string, settings ...string) (w *sandbox.World, env map[string]string, flags []string) {
	t.Helper()
	w, env, flags = live(t)
	urls := commercetest.URLsAt(w.CommerceURL)
	switch via {
	case viaBilling:
		flags[1] = urls.Billing
		delete(env, "COMMERCE_TOKEN")
	case viaSimpleAPI:
		flags[1] = urls.SimpleAPI
		delete(env, "COMMERCE_TOKEN")
		env["COMMERCE_KEY"], env["COMMERCE_USER"] = commercetest.DefaultSimpleKey, commercetest.DefaultSimpleUser
		env["COMMERCE_PASSWORD"] = commercetest.DefaultSimplePassword
	}
	if len(settings) > 0 {
		configure(t, stateOf(flags),
			strings.TrimSuffix(fastSettings, "}")+`, "commerce": {`+strings.Join(settings, ", ")+"}}")
	}
	return w, env, with(flags, "-via", via)
}

func export(t *testing.T, w *sandbox.World) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "failed.csv")
	n, err := w.Export(path)
	require.NoError(t, err)
	require.Positive(t, n)
	return path
}

func TestEachAPIPlansTheOrdersOfAFile(t *testing.T) {
	t.Parallel()
	urls := commercetest.URLsAt
	for name, c := range map[string]struct {
		via  string
		more func(w *sandbox.World) string
	}{
		"Billing":    {viaBilling, nil},
		"Simple API": {viaSimpleAPI, nil},
		"Simple API through Keycloak": {viaSimpleAPI, func(w *sandbox.World) string {
			return fmt.Sprintf(`"keycloak": {"url": %q, "realm": %q, "clientId": %q}`, urls(w.CommerceURL).Keycloak,
				commercetest.DefaultRealm, commercetest.DefaultClientID)
		}},
		"Order Management with a token of Operations": {viaOrderManager, func(w *sandbox.World) string {
			return fmt.Sprintf(`"operations": %q`, urls(w.CommerceURL).Operations)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, env, flags := through(t, c.via)
			args := with(flags, "plan")
			if c.via == viaOrderManager {
				delete(env, "COMMERCE_TOKEN")
			} else {
				args = append(args, "-ids", export(t, w))
			}
			if c.more != nil {
				configure(t, stateOf(flags), strings.TrimSuffix(fastSettings, "}")+`, "commerce": {`+c.more(w)+"}}")
			}
			stdout, stderr := done(t, env, args...)
			require.Contains(t, stdout, "Nothing was changed.")
			require.Empty(t, w.Commerce.Pushes())
			if c.via != viaOrderManager {
				require.Contains(t, strings.Join(strings.Fields(stdout), " "), "does not report why orders failed")
			}
			plans, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "plan.jsonl"))
			require.NoError(t, err)
			kept, err := os.ReadFile(plans[0])
			require.NoError(t, err)
			for variable, secret := range env {
				if variable != "COMMERCE_USER" && variable != "TZ" {
					require.NotContains(t, stdout+stderr+string(kept), secret)
				}
			}
		})
	}
}

func TestIDsNamesOrdersThatAreNotInThePlan(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaBilling)
	path := export(t, w)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	ended := ""
	for _, o := range w.Commerce.Orders() {
		if o.Status == "CP" {
			ended = o.Number
			text = fmt.Appendf(text, "%s,%s,PF,\n", o.BillingID, o.Number)
			break
		}
	}
	require.NoError(t, os.WriteFile(path, text, 0o600))
	stdout, _ := done(t, env, with(flags, "plan", "-ids", path)...)
	require.Contains(t, stdout, ended)
	require.Contains(t, stdout, "are not in the plan")
}

func TestIDsReadsStandardInput(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaBilling)
	var id, number string
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			id, number = o.BillingID, o.Number
		}
	}
	status, stdout, stderr := call{env: env, stdin: id + "\n"}.run(t.Context(),
		with(flags, "plan", "-ids", "-", "-ignore-connect")...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "Plan: 1 failed order\n")
	require.Contains(t, stdout, number)
}

func TestAPlanForBillingIsApplied(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaBilling)
	path, args, orders := export(t, w), with(flags, "plan", "-ignore-connect"), map[string]bool{}
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient && o.Type == commerce.TypeSales && len(orders) < 3 {
			args, orders[o.Number] = append(args, "-order", o.Number), true
		}
	}
	done(t, env, append(args, "-ids", path)...)
	require.NoError(t, os.Remove(path), "the plan has the orders")
	done(t, env, with(flags, "apply", "-yes")...)
	require.Len(t, w.Commerce.Pushes(), len(orders))
	requireCompleted(t, w, orders)
}

func TestBillingHoldsOrdersWithoutSubscription(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaBilling)
	path := filepath.Join(t.TempDir(), "ids.txt")
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient && o.Type == "SO" {
			require.NoError(t, os.WriteFile(path, []byte(o.BillingID+"\n"), 0o600))
		}
	}
	stdout, _ := done(t, env, with(flags, "plan", "-ids", path)...)
	require.Contains(t, stdout, "hold")
	require.Contains(t, strings.Join(strings.Fields(stdout), " "), "has neither a subscription nor a tenant to look up")
}

func TestSettingsOfAPIsAreChecked(t *testing.T) {
	t.Parallel()
	w, _, _ := through(t, viaBilling)
	other := ""
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			other = o.BillingID + ",SO000000\n"
		}
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	simple := map[string]string{"COMMERCE_KEY": commercetest.DefaultSimpleKey,
		"COMMERCE_USER":     commercetest.DefaultSimpleUser,
		"COMMERCE_PASSWORD": commercetest.DefaultSimplePassword}
	secrets := func(pairs ...string) map[string]string {
		env := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
		return env
	}
	for name, c := range map[string]struct {
		via      string
		env      map[string]string
		settings string
		args     []string
		status   int
		says     string
	}{
		"an API that is none":    {"soap", nil, "", nil, exitUsage, `-via "soap": give ordermanager, billing or simpleapi`},
		"Billing without a file": {viaBilling, nil, "", nil, exitUsage, "-via billing needs -ids"},
		"a file for the Order Management": {viaOrderManager, secrets("COMMERCE_TOKEN", "s3cret"), "", []string{"-ids", "x"},
			exitUsage, "-ids needs -via billing"},
		"a file that is not there": {viaBilling, nil, "", []string{"-ids", filepath.Join(dir, "nowhere.csv")}, exitError,
			"nowhere.csv"},
		"a file without orders": {viaBilling, nil, "", []string{"-ids", file("empty.csv", "Order ID\n")}, exitError,
			"the file names no order"},
		"a file that is none": {viaBilling, nil, "", []string{"-ids", file("bad.csv", "hello\n")}, exitError, "bad.csv:1"},
		"an id that Billing does not know": {viaBilling, nil, "", []string{"-ids", file("unknown.csv", "7\n")}, exitError,
			"unknown.csv:1"},
		"a number of another order": {viaBilling, nil, "", []string{"-ids", file("other.csv", other)}, exitError,
			"are these the ids of orders?"},
		"a number of another order, simple": {viaSimpleAPI, simple, "", []string{"-ids", file("other2.csv", other)},
			exitError,
			"are these the ids of orders?"},
		"half a login": {viaBilling, secrets("COMMERCE_USER", "me"), "", []string{"-ids", "x"}, exitUsage,
			"COMMERCE_PASSWORD"},
		"members without a login": {viaBilling, nil, `"loginInCall": true`, []string{"-ids", "x"}, exitUsage, "loginInCall"},
		"no subscription key":     {viaSimpleAPI, secrets("COMMERCE_TOKEN", "s3cret"), "", nil, exitUsage, "COMMERCE_KEY"},
		"no token for Simple API": {viaSimpleAPI, secrets("COMMERCE_KEY", "s3cret"), "", nil, exitUsage, "COMMERCE_TOKEN"},
		"a Keycloak without realm": {viaSimpleAPI, secrets("COMMERCE_KEY", "s3cret", "COMMERCE_USER", "me",
			"COMMERCE_PASSWORD", "s3cret"), `"keycloak": {"url": "https://x"}`, nil, exitUsage, "realm"},
		"half a consumer": {viaOrderManager, secrets("COMMERCE_CONSUMER_KEY", "s3cret"), "", nil, exitUsage,
			"COMMERCE_CONSUMER_SECRET"},
		"two ways to sign in": {viaOrderManager, secrets("COMMERCE_TOKEN", "s3cret"), `"operations": "https://x"`, nil, exitUsage,
			"to sign in to Order Management set one of"},
		"a setting of another API": {viaBilling, nil, `"keycloak": {"realm": "r"}`, []string{"-ids", "x"}, exitUsage,
			"commerce.keycloak of the configuration needs -via simpleapi"},
		"authorities that are none": {viaBilling, nil, fmt.Sprintf(`"tls": {"authorities": %q}`, file("ca.pem", "hello")),
			[]string{"-ids", file("one.txt", "1000001\n")}, exitError, "ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w
			if c.status == exitError { // it may use the state directory, of which each Commerce has one
				w, _, _ = live(t)
			}
			urls := commercetest.URLsAt(w.CommerceURL)
			url := map[string]string{viaBilling: urls.Billing, viaSimpleAPI: urls.SimpleAPI}[c.via]
			state := filepath.Join(t.TempDir(), "state")
			configure(t, state, strings.TrimSuffix(fastSettings, "}")+`, "windows": {"weekly": [{"id": "w", "weekday": "sunday",
				"time": "02:00", "duration": "1h", "timezone": "UTC"}]}, "commerce": {`+c.settings+"}}")
			env := map[string]string{"CONNECT_API_KEY": w.ConnectKey}
			maps.Copy(env, c.env)
			requireRejected(t, env, append([]string{"-state", state, "-via", c.via, "-commerce", cmp.Or(url, w.CommerceURL),
				"-connect", w.ConnectURL, "plan"}, c.args...), c.status, c.says)
		})
	}
}

func TestHelpNamesTheVariablesOfEachAPI(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := do(t, nil, "-help")
	require.Equal(t, exitDone, status)
	require.Empty(t, stderr)
	for _, variable := range []string{"CONNECT_API_KEY", "COMMERCE_TOKEN", "COMMERCE_CONSUMER_SECRET", "COMMERCE_USER",
		"COMMERCE_PASSWORD", "COMMERCE_KEY", "COMMERCE_CLIENT_SECRET"} {
		require.Contains(t, stdout, variable)
	}
}
