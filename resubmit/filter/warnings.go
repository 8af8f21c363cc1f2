package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Warnings returns a sentence for each part of a filter that is probably a mistake: a status or type without a constant
// in package commerce, with a suggestion, and a status or type that the view does not list. Such a filter is valid,
// because order flows can be customised. A zero view lists everything.
func Warnings(f Filter, view commerce.View) []string {
	var warnings []string
	for _, leaf := range oneOfs(f) {
		for _, v := range leaf.values {
			if w := unknownCode(leaf.prop, v); w != "" && !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
	}
	for _, term := range conjuncts(f) {
		if w := outsideView(term, view); w != "" {
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// oneOfs returns all oneOf conditions of a filter.
func oneOfs(f Filter) (leaves []*oneOf) {
	if leaf, ok := f.(*oneOf); ok {
		return []*oneOf{leaf}
	}
	for _, term := range children(f) {
		leaves = append(leaves, oneOfs(term)...)
	}
	return leaves
}

// outsideView returns a warning if a term selects nothing from a view.
func outsideView(term Filter, view commerce.View) string {
	leaf, ok := term.(*oneOf)
	if !ok {
		return ""
	}
	var listed []string
	switch leaf.prop {
	case propStatus:
		listed = text.Strings(view.Statuses)
	case propType:
		listed = text.Strings(view.Types)
	}
	if len(listed) == 0 || slices.ContainsFunc(listed, leaf.has) {
		return ""
	}
	return fmt.Sprintf("%s selects nothing, since the view %s lists only the %s %s",
		text.Short(leaf.text), view.Name, leaf.prop, strings.Join(listed, ", "))
}

// unknownCode returns a warning if a code has no constant.
func unknownCode(prop property, code string) string {
	known := codeNames[prop]
	if known == nil || slices.ContainsFunc(known, func(n codeName) bool { return n.code == code }) {
		return ""
	}
	text := fmt.Sprintf("%s %q is not a known code", prop, text.Short(code))
	if n, ok := nearestCode(code, known); ok {
		return fmt.Sprintf("%s: did you mean %s (%s)?", text, n.code, n.name)
	}
	return text + "; it selects only orders of customised flows"
}

// nearestCode finds the code whose code, name or word of the name is most similar to word; the first of several.
func nearestCode(word string, known []codeName) (best codeName, found bool) {
	var names []string
	var codes []codeName // of names
	for _, n := range known {
		for _, name := range append(strings.Fields(n.name), n.name, n.code) {
			names, codes = append(names, name), append(codes, n)
		}
	}
	near := text.Nearest(strings.NewReplacer("_", " ", "-", " ").Replace(word), names)
	if near == "" {
		return best, false
	}
	return codes[slices.Index(names, near)], true
}

type codeName struct{ code, name string }

// codeNames are the constants of package commerce with their names in plain words, the most used ones first.
var codeNames = map[property][]codeName{
	propStatus: {
		{"PF", "provisioning failed"}, {"LO", "long running"}, {"MO", "manual operation"}, {"PR", "provisioning"},
		{"CP", "completed"}, {"CL", "cancelled"}, {"NW", "new"}, {"OP", "open"}, {"HL", "hold"}, {"TM", "manual activation"},
		{"WC", "waiting for activation"}, {"TA", "registration check"}, {"FS", "fraud screened"}, {"I6", "fraud approved"},
		{"SS", "suspected"}, {"WA", "waiting for approval"}, {"FR", "fraud"}, {"AA", "awaiting authorization"},
		{"AC", "authorized"}, {"CA", "continuing authorization"}, {"WT", "authorization retry"},
		{"AF", "authorization failed"},
		{"NP", "no payment method"}, {"WP", "waiting for payment"}, {"PD", "paid"}, {"I4", "provisioning required"},
		{"PC", "provisioned"}, {"RB", "checking conditions"}, {"AD", "reseller documents"}, {"CT", "creating top up"},
		{"TW", "top up waiting"}, {"TP", "top up payment"}, {"TS", "top up succeeded"}, {"TF", "top up failed"},
		{"CR", "ready to complete"}, {"WZ", "payment after provisioning"},
	},
	propType: {
		{"SO", "sales"}, {"CH", "change"}, {"RN", "renewal"}, {"CL", "cancellation"}, {"CF", "cancellation charge"},
		{"UG", "upgrade"}, {"DG", "downgrade"}, {"BO", "billing"}, {"PO", "payment"}, {"TA", "ta"}, {"TS", "ts"},
	},
	propProvisioning: {{"FAILED", "failed"}, {"COMPLETED", "completed"}, {"INPROGRESS", "in progress"}},
}
