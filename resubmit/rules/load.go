package rules

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

type ruleFile struct {
	Rules []Rule `json:"rules"`
}

var ruleFormat = jsonfile.Format[ruleFile]{Name: "rules", MaxBytes: 8 << 20, Check: (*ruleFile).check}

func (f *ruleFile) check() error {
	if f.Rules == nil {
		return errors.New(`has no rules: write {"rules":[…]}`)
	}
	return Validate(f.Rules)
}

// Load reads rules from JSON: {"rules":[{"id":…,"reason":…,"action":…,"why":…},…]}.
// It rejects unknown keys and whatever [Validate] rejects; the error names the line, the rule and the key.
func Load(r io.Reader) ([]Rule, error) {
	f, err := ruleFormat.Read(r)
	return f.Rules, err
}

// LoadFile reads rules from a file; see [Load].
func LoadFile(path string) ([]Rule, error) {
	f, err := ruleFormat.ReadFile(path)
	return f.Rules, err
}

// Save writes rules in the format of [Load]. If a rule is invalid it returns an error and writes nothing.
func Save(w io.Writer, rules []Rule) error {
	return ruleFormat.Write(w, ruleFile{append([]Rule{}, rules...)})
}

// Validate checks rules. It returns an error for unknown actions, classes, verdicts and channels, rules without a
// condition, an id or a reason why, and duplicate ids. The error names the rule and the key, such as rules[2].id.
func Validate(rules []Rule) error {
	seen := make(map[string]int, len(rules))
	for i := range rules {
		err := rules[i].check()
		if first, ok := seen[rules[i].ID]; ok && err == nil {
			err = jsonfile.Errorf("id", "%q is the id of rules[%d] too; ids must differ", rules[i].ID, first)
		}
		if err != nil {
			return jsonfile.At(fmt.Sprintf("rules[%d]", i), err)
		}
		seen[rules[i].ID] = i
	}
	return nil
}

func (r *Rule) check() error {
	switch {
	case strings.TrimSpace(r.ID) == "":
		return jsonfile.Errorf("id", "is missing; name the rule, the name is shown with each decision")
	case isDefaultRule(r.ID):
		return jsonfile.Errorf("id", "%q is the id of a default rule; choose another", r.ID)
	case strings.TrimSpace(r.Why) == "":
		return jsonfile.Errorf("why", "is missing; say why, it is shown with each decision")
	case r.Action == "":
		return jsonfile.Errorf("action", "is missing; use one of %s", list(Actions()))
	case !slices.Contains(Actions(), r.Action):
		return jsonfile.Errorf("action", "unknown action %q; use one of %s", r.Action, list(Actions()))
	case len(r.Types)+len(r.Classes)+len(r.Verdicts)+len(r.Requests)+len(r.VendorAccounts)+len(r.Channels) == 0 &&
		r.Message == "":
		return errors.New("has no conditions and would apply to every order; " +
			"set types, classes, verdicts, requests, vendors, channels or reason")
	}
	return cmp.Or(
		checkValues("types", r.Types, nil),
		checkValues("classes", r.Classes, failure.Classes()),
		checkValues("verdicts", r.Verdicts, failure.Verdicts()),
		checkValues("requests", r.Requests, nil),
		checkValues("vendors", r.VendorAccounts, nil),
		checkValues("channels", r.Channels, []commerce.Channel{commerce.ChannelDirect, commerce.ChannelReseller}),
	)
}

// checkValues rejects values that are empty or, if known is not nil, unknown.
func checkValues[T ~string](key string, values []T, known []T) error {
	for _, v := range values {
		switch {
		case known != nil && !slices.Contains(known, v):
			return jsonfile.Errorf(key, "unknown value %q; use one of %s", v, list(known))
		case v == "":
			return jsonfile.Errorf(key, "has an empty value; remove it")
		}
	}
	return nil
}

func list[T ~string](known []T) string {
	return strings.Join(slices.Sorted(slices.Values(text.Strings(known))), ", ")
}
