package statuspage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// is reports whether the component has the id or the name.
func (c component) is(idOrName string) bool {
	return c.id == idOrName || strings.EqualFold(c.name, idOrName)
}

// concerns reports whether the maintenance has one of the wanted components, or none at
// all. Groups do not count.
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

// checkComponents warns of wanted components that the page does not have: their maintenance
// would be left out silently.
func (s *Source) checkComponents(ctx context.Context, n *notes) {
	known, _, err := s.components.get(ctx)
	if err != nil {
		n.warn(maintenance.ErrUncertain, "", "the components of the page cannot be checked: %w", err)
		return
	}
	for _, wanted := range s.cfg.components {
		if err := find(known, wanted); err != nil {
			n.warn(maintenance.ErrIncomplete, "", "%w", err)
		}
	}
}

// find returns an error for a component that does not exist.
func find(known []component, wanted string) error {
	if slices.ContainsFunc(known, func(c component) bool { return !c.group && c.is(wanted) }) {
		return nil
	}
	i := slices.IndexFunc(known, func(c component) bool { return c.is(wanted) })
	if i < 0 {
		return fmt.Errorf("the page has no component %q: it has %s", wanted,
			names(known, func(c component) bool { return !c.group }))
	}
	group := known[i].id
	return fmt.Errorf("%q is a group: name its components: %s", wanted,
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
