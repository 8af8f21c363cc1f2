package main

import (
	"context"
	"net/http"

	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func mount(mux *http.ServeMux, dir *state.Dir, may func(*http.Request, console.Action) (string, error)) error {
	recovery, err := console.New(console.Config{
		State: dir, Authorize: may, Hosts: []string{"billing.example.net"},
		Apply: func(ctx context.Context) error {
			_, err := dir.Once(ctx, state.OnceOptions{Continue: true})
			return err
		},
	})
	if err != nil {
		return err
	}
	mux.Handle("/ops/recovery/", http.StripPrefix("/ops/recovery", recovery))
	return nil
}
