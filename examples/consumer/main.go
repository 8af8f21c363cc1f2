// Command consumer uses the library as the README of the last release says. It is compiled with the code of today
// (.ci/consumer), so that a change that breaks users is noticed. Its files are changed only with such a change, which
// CHANGELOG.md then describes, or when the README of a release has new code.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func main() {
	ctx := context.Background()
	own := new(ownSystem)
	systems := resubmit.SystemsOf(own, own)
	steps := map[string]func() error{
		"once":    func() error { return afterMaintenance(ctx) },
		"nightly": func() error { return nightly(ctx, "state", nightlyConfig(systems, nil)) },
		"watch":   func() error { return watchMaintenance(ctx, nil, nil) },
		"console": func() error {
			dir, err := state.Open(ctx, "state", nightlyConfig(systems, nil))
			if err != nil {
				return err
			}
			deny := func(*http.Request, console.Action) (string, error) { return "", errors.New("denied") }
			return mount(http.NewServeMux(), dir, deny)
		},
	}
	step, ok := steps[os.Args[len(os.Args)-1]]
	if !ok {
		fmt.Println("usage: consumer once|nightly|watch|console")
		os.Exit(2)
	}
	if err := step(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
