package resubmit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
)

// maxRules is the most bytes of a rule file.
const maxRules = 8 << 20

// ruleKeys are the keys of a rule in JSON, in the order of the struct.
var ruleKeys = []string{"id", "types", "classes", "verdicts", "requests", "vendors", "channels", "reason", "action", "why"}

// LoadRules reads rules from JSON: {"rules":[{"id":…,"reason":…,"action":…,"why":…},…]}.
// Unknown keys, unknown actions, classes, verdicts and channels, rules without a
// condition, and ids that occur twice are errors that name the rule and the key.
func LoadRules(r io.Reader) ([]Rule, error) {
	rules, err := readRules(r)
	if err != nil {
		return nil, fmt.Errorf("resubmit: load rules: %w", err)
	}
	return rules, nil
}

// LoadRulesFile is [LoadRules] for a file.
func LoadRulesFile(path string) ([]Rule, error) {
	f, err := os.Open(path) //nolint:gosec // which file to open is the caller's choice
	if err != nil {
		return nil, fmt.Errorf("resubmit: load rules: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	rules, err := readRules(f)
	if err != nil {
		return nil, fmt.Errorf("resubmit: load rules: %s: %w", path, err)
	}
	return rules, nil
}

// SaveRules writes rules as [LoadRules] reads them. Rules that it would refuse are
// an error, and nothing is written.
func SaveRules(w io.Writer, rules []Rule) error {
	if err := checkRules(rules); err != nil {
		return fmt.Errorf("resubmit: save rules: %w", err)
	}
	if rules == nil {
		rules = []Rule{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string][]Rule{"rules": rules}); err != nil {
		return fmt.Errorf("resubmit: save rules: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("resubmit: save rules: %w", err)
	}
	return nil
}

func readRules(r io.Reader) ([]Rule, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRules+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxRules {
		return nil, fmt.Errorf("there are more than the %d bytes that rules may have", maxRules)
	}
	if err := number.CheckJSON(data); err != nil {
		return nil, err
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, jsonError(data, err)
	}
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != "rules" {
			return nil, fmt.Errorf("unknown key %q; the only one is \"rules\"", excerpt(key))
		}
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(top["rules"], &raw); err != nil || raw == nil {
		return nil, errors.New(`rules: want a list, {"rules":[…]}`)
	}
	rules := make([]Rule, len(raw))
	for i := range raw {
		if err := rules[i].parse(raw[i]); err != nil {
			return nil, ruleErrorf(i, err)
		}
	}
	if err := checkRules(rules); err != nil {
		return nil, err
	}
	return rules, nil
}

func (r *Rule) parse(data []byte) *ruleError {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil || keys == nil {
		return &ruleError{"", `want an object, {"id":…}`}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(ruleKeys, key) {
			return &ruleError{"", fmt.Sprintf("unknown key %q; use %s", excerpt(key), strings.Join(ruleKeys, ", "))}
		}
	}
	if err := json.Unmarshal(data, r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			kind := strings.Replace(wrong.Type.Kind().String(), "slice", "list", 1)
			return &ruleError{wrong.Field, fmt.Sprintf("want a %s, found a %s", kind, wrong.Value)}
		}
		return &ruleError{"", excerpt(err.Error())}
	}
	return nil
}

// jsonError says in which line of the data a JSON error is.
func jsonError(data []byte, err error) error {
	offset := int64(len(data))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = min(syntax.Offset, offset)
	} else if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = min(wrong.Offset, offset)
	}
	line := 1 + bytes.Count(data[:offset], []byte("\n"))
	return fmt.Errorf(`line %d: %s; want {"rules":[…]}`, line, strings.TrimPrefix(err.Error(), "json: "))
}

// ruleError is what is wrong with one key of a rule, or with all of it.
type ruleError struct{ key, problem string }

func ruleErrorf(i int, err *ruleError) error {
	if err.key == "" {
		return fmt.Errorf("rules[%d]: %s", i, err.problem)
	}
	return fmt.Errorf("rules[%d].%s: %s", i, err.key, err.problem)
}

func checkRules(rules []Rule) error {
	seen := make(map[string]int, len(rules))
	for i := range rules {
		if err := rules[i].check(); err != nil {
			return ruleErrorf(i, err)
		}
		if first, ok := seen[rules[i].ID]; ok {
			return ruleErrorf(i, &ruleError{"id", fmt.Sprintf("%q is the id of rules[%d] too; ids must differ", rules[i].ID, first)})
		}
		seen[rules[i].ID] = i
	}
	return nil
}

// check returns nil for a good rule.
func (r *Rule) check() *ruleError {
	switch {
	case strings.TrimSpace(r.ID) == "":
		return &ruleError{"id", "is missing; name the rule, the name is shown with each decision"}
	case isDefaultRule(r.ID):
		return &ruleError{"id", fmt.Sprintf("%q is the name of a default rule; choose another", r.ID)}
	case strings.TrimSpace(r.Why) == "":
		return &ruleError{"why", "is missing; say why, it is shown with each decision"}
	case r.Action == "":
		return &ruleError{"action", "is missing; use one of " + names(knownActions)}
	case !knownActions[r.Action]:
		return &ruleError{"action", fmt.Sprintf("unknown action %q; use one of %s", r.Action, names(knownActions))}
	case len(r.Types)+len(r.Classes)+len(r.Verdicts)+len(r.Requests)+len(r.Vendors)+len(r.Channels) == 0 && r.Reason == "":
		return &ruleError{"", "has no conditions and would hold for every order; set types, classes, verdicts, requests, vendors, channels or reason"}
	}
	for _, problem := range []*ruleError{
		checkValues("types", r.Types, nil),
		checkValues("classes", r.Classes, knownClasses),
		checkValues("verdicts", r.Verdicts, knownVerdicts),
		checkValues("requests", r.Requests, nil),
		checkValues("vendors", r.Vendors, nil),
		checkValues("channels", r.Channels, map[commerce.Channel]bool{commerce.ChannelDirect: true, commerce.ChannelReseller: true}),
	} {
		if problem != nil {
			return problem
		}
	}
	return nil
}

// checkValues finds a value that is empty or, where all are known, unknown.
func checkValues[T ~string](key string, values []T, known map[T]bool) *ruleError {
	for _, v := range values {
		switch {
		case known != nil && !known[v]:
			return &ruleError{key, fmt.Sprintf("unknown value %q; use one of %s", v, names(known))}
		case v == "":
			return &ruleError{key, "has an empty value; remove it"}
		}
	}
	return nil
}

func names[T ~string](set map[T]bool) string {
	all := make([]string, 0, len(set))
	for name := range set {
		all = append(all, string(name))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
