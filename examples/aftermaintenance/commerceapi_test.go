package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
)

// through is live with the flags for one of the APIs.
func through(t *testing.T, via string, more ...string) (w *sandbox.World, env map[string]string, flags []string) {
	t.Helper()
	w, env, flags = live(t)
	urls := commercetest.URLsAt(w.CommerceURL)
	delete(env, "COMMERCE_TOKEN")
	switch via {
	case viaBilling:
		flags[1] = urls.Billing
	case viaSimpleAPI:
		flags[1] = urls.SimpleAPI
		env["COMMERCE_KEY"], env["COMMERCE_USER"] = commercetest.DefaultSimpleKey, commercetest.DefaultSimpleUser
		env["COMMERCE_PASSWORD"] = commercetest.DefaultSimplePassword
	}
	return w, env, append(append(flags, "-via", via), more...)
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
		more func(w *sandbox.World, env map[string]string) []string
	}{
		"Billing":    {viaBilling, nil},
		"Simple API": {viaSimpleAPI, nil},
		"Simple API through Keycloak": {viaSimpleAPI, func(w *sandbox.World, _ map[string]string) []string {
			return []string{"-keycloak", urls(w.CommerceURL).Keycloak, "-realm", commercetest.DefaultRealm, "-client-id",
				commercetest.DefaultClientID}
		}},
		"Order Management with a token of Operations": {viaOrderManager,
			func(w *sandbox.World, _ map[string]string) []string {
				return []string{"-operations", urls(w.CommerceURL).Operations}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, env, flags := through(t, c.via)
			if c.via != viaOrderManager {
				flags = append(flags, "-ids", export(t, w))
			}
			if c.more != nil {
				flags = append(flags, c.more(w, env)...)
			}
			plan := filepath.Join(t.TempDir(), "plan.jsonl")
			status, stdout, stderr := do(t, env, append(flags, "-plan", plan)...)
			require.Equal(t, exitDone, status, stderr)
			require.Contains(t, stdout, "dry run")
			require.Empty(t, w.Commerce.Pushes())
			if c.via != viaOrderManager {
				require.Contains(t, strings.Join(strings.Fields(stdout), " "), "does not report why orders failed")
			}
			kept, err := os.ReadFile(plan)
			require.NoError(t, err)
			for variable, secret := range env {
				if variable != "COMMERCE_USER" && variable != "XDG_CONFIG_HOME" {
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
	done := ""
	for _, o := range w.Commerce.Orders() {
		if o.Status == "CP" {
			done = o.Number
			text = fmt.Appendf(text, "%s,%s,PF,\n", o.BillingID, o.Number)
			break
		}
	}
	require.NoError(t, os.WriteFile(path, text, 0o600))
	status, stdout, stderr := do(t, env, append(flags, "-ids", path)...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, done)
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
	var out, errs strings.Builder
	status := run(t.Context(), append(flags, "-ids", "-", "-ignore-connect"),
		func(name string) string { return env[name] }, strings.NewReader(id+"\n"), &out, &errs)
	require.Equal(t, exitDone, status, errs.String())
	require.Contains(t, out.String(), "Plan: 1 failed order\n")
	require.Contains(t, out.String(), number)
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
	status, stdout, stderr := do(t, env, append(flags, "-ids", path)...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "hold")
	require.Contains(t, strings.Join(strings.Fields(stdout), " "), "has neither a subscription nor a tenant to look up")
}

func TestFlagsOfAPIsAreChecked(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaBilling)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	with := func(changes ...string) map[string]string {
		changed := map[string]string{"CONNECT_API_KEY": env["CONNECT_API_KEY"]}
		for i := 0; i < len(changes); i += 2 {
			changed[changes[i]] = changes[i+1]
		}
		return changed
	}
	at := func(via string, more ...string) []string { return append(append(flags[:6:6], "-via", via), more...) }
	other := ""
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			other = o.BillingID + ",SO000000\n"
		}
	}
	for name, c := range map[string]struct {
		env    map[string]string
		args   []string
		status int
		says   string
	}{
		"a way that is none": {env, at("soap"), exitUsage,
			`-via "soap": give ordermanager, billing or simpleapi`},
		"Billing without a file": {env, at(viaBilling), exitUsage, "-via billing needs -ids"},
		"Billing without a file, to plan": {env, at(viaBilling, "-plan", filepath.Join(dir, "new.jsonl")), exitError,
			"-via billing needs -ids"},
		"a file for the Order Management": {with("COMMERCE_TOKEN", "s3cret"), at(viaOrderManager, "-ids", "x"), exitUsage,
			"-ids needs -via billing"},
		"a file that is not there": {env, at(viaBilling, "-ids", filepath.Join(dir, "nowhere.csv")), exitError,
			"nowhere.csv"},
		"a file without orders": {env, at(viaBilling, "-ids", file("empty.csv", "Order ID\n")), exitError,
			"the file names no order"},
		"a file that is none": {env, at(viaBilling, "-ids", file("bad.csv", "hello\n")), exitError, "bad.csv:1"},
		"an id that Billing does not know": {env, at(viaBilling, "-ids", file("unknown.csv", "7\n")), exitError,
			"unknown.csv:1"},
		"a number of another order": {env, at(viaBilling, "-ids", file("other.csv", other)), exitError,
			"are these the ids of orders?"},
		"a number of another order, simple": {with("COMMERCE_KEY", commercetest.DefaultSimpleKey, "COMMERCE_USER",
			commercetest.DefaultSimpleUser, "COMMERCE_PASSWORD", commercetest.DefaultSimplePassword),
			append([]string{"-commerce", commercetest.URLsAt(w.CommerceURL).SimpleAPI},
				at(viaSimpleAPI, "-ids", file("other2.csv", other))[2:]...), exitError, "are these the ids of orders?"},
		"half a login": {with("COMMERCE_USER", "me"), at(viaBilling, "-ids", "x"), exitUsage,
			"COMMERCE_PASSWORD"},
		"members without a login": {env, at(viaBilling, "-login-in-call", "-ids", "x"), exitUsage, "-login-in-call"},
		"no subscription key":     {with("COMMERCE_TOKEN", "s3cret"), at(viaSimpleAPI), exitUsage, "COMMERCE_KEY"},
		"no token for Simple API": {with("COMMERCE_KEY", "s3cret"), at(viaSimpleAPI), exitUsage, "COMMERCE_TOKEN"},
		"a Keycloak without realm": {with("COMMERCE_KEY", "s3cret", "COMMERCE_USER", "me", "COMMERCE_PASSWORD",
			"s3cret"), at(viaSimpleAPI, "-keycloak", "https://x"), exitUsage, "-realm"},
		"half a consumer": {with("COMMERCE_CONSUMER_KEY", "s3cret"), at(viaOrderManager), exitUsage,
			"COMMERCE_CONSUMER_SECRET"},
		"two ways to sign in": {with("COMMERCE_TOKEN", "s3cret"),
			at(viaOrderManager, "-operations", "https://x"), exitUsage, "to sign in to Order Management set one of"},
		"a flag of another way": {env, at(viaBilling, "-ids", "x", "-realm", "r"), exitUsage,
			"-realm needs -via simpleapi"},
		"a way's flag on the test systems": {nil, []string{"-via", viaSimpleAPI, "-realm", "r"}, exitUsage,
			"-realm is for real systems"},
		"targets that cancel": {env, at(viaBilling, "-ids", "x", "-targets", "PD,CL"), exitUsage, "CL would cancel"},
		"authorities that are none": {env, at(viaBilling, "-ids", file("one.txt", "1000001\n"), "-ca",
			file("ca.pem", "hello")), exitError, "ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRejected(t, c.env, c.args, c.status, c.says)
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
