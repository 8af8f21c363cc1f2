package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Warnings returns a sentence for each part of a filter that is probably a mistake: a
// status or type without a constant in package commerce, with the nearest one that has
// one, and a status or type that the view does not list. The filter can be used all the
// same, because flows can be customised. A zero view lists everything.
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

// oneOfs are the conditions on single values, wherever they are in a filter.
func oneOfs(f Filter) (leaves []*oneOf) {
	if leaf, ok := f.(*oneOf); ok {
		return []*oneOf{leaf}
	}
	for _, term := range children(f) {
		leaves = append(leaves, oneOfs(term)...)
	}
	return leaves
}

// outsideView warns of a term by which nothing in a view can be selected.
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

// unknownCode warns of a code without a constant, "" if it has one.
func unknownCode(prop property, code string) string {
	known := codeNames[prop]
	if known == nil || slices.ContainsFunc(known, func(n codeName) bool { return n.code == code }) {
		return ""
	}
	text := fmt.Sprintf("%s %q is not a code that this library knows", prop, text.Short(code))
	if n, ok := nearestCode(code, known); ok {
		return fmt.Sprintf("%s: did you mean %s (%s)?", text, n.code, n.name)
	}
	return text + ", so it selects orders of customised flows only"
}

// nearestCode finds the code that a word means, by the code, its name, or a word of its
// name. Of equally near ones it is the first.
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

// codeNames are the constants of package commerce by what people call them, those first
// that are asked for most.
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
