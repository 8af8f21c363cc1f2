package statuspage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// is reports whether the component goes by an id or a name.
func (c component) is(idOrName string) bool {
	return c.id == idOrName || strings.EqualFold(c.name, idOrName)
}

// concerns reports whether the maintenance is of one of the wanted components, or
// does not say of which it is. Groups do not say it.
func (m *item) concerns(wanted []string) bool {
	known := false
	for _, c := range m.components {
		if c.group {
			continue
		}
		known = true
		if slices.ContainsFunc(wanted, c.is) {
			return true
		}
	}
	return len(wanted) == 0 || !known
}

// checkComponents warns of wanted components that the page does not have: their
// maintenances would be left out in silence.
func (s *Source) checkComponents(ctx context.Context, n *notes) {
	known, _, err := s.components.get(ctx)
	if err != nil {
		n.warn(maintenance.ErrUncertain, "", "whether the page has the components that count cannot be checked: %w", err)
		return
	}
	for _, wanted := range s.cfg.components {
		if err := find(known, wanted); err != nil {
			n.warn(maintenance.ErrIncomplete, "", "%w", err)
		}
	}
}

// find says what to do about a component that is not there.
func find(known []component, wanted string) error {
	if slices.ContainsFunc(known, func(c component) bool { return !c.group && c.is(wanted) }) {
		return nil
	}
	i := slices.IndexFunc(known, func(c component) bool { return c.is(wanted) })
	if i < 0 {
		return fmt.Errorf("the page has no component %q: it has %s", wanted, names(known, func(c component) bool { return !c.group }))
	}
	group := known[i].id
	return fmt.Errorf("%q is a group, and groups are not counted: name what is in it: %s", wanted,
		names(known, func(c component) bool { return !c.group && c.groupID == group }))
}

func names(list []component, wanted func(component) bool) string {
	var names []string
	for _, c := range list {
		if wanted(c) {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return text.Excerpt(strings.Join(names, ", "), 200)
}
