package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// control is the HTTP interface under /_sandbox/.
type control struct{ world *sandbox.World }

const controls = "use POST maintenance, POST, GET and DELETE faults, POST and GET orders, GET ledger and GET " +
	"violations under /_sandbox/"

// open starts a live world and its control interface.
func open(ctx context.Context, listen string, seed uint64, names ...string) (*sandbox.World, string, error) {
	c := &control{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_sandbox/maintenance", handler(c.maintenance))
	mux.HandleFunc("POST /_sandbox/orders", handler(c.place))
	mux.HandleFunc("GET /_sandbox/orders", handler(c.orders))
	mux.HandleFunc("POST /_sandbox/faults", handler(c.addFault))
	mux.HandleFunc("DELETE /_sandbox/faults", handler(c.clearFaults))
	mux.HandleFunc("GET /_sandbox/faults", handler(c.faults))
	mux.HandleFunc("GET /_sandbox/ledger", handler(c.ledger))
	mux.HandleFunc("GET /_sandbox/violations", handler(c.violations))
	mux.HandleFunc("/_sandbox/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf("there is no %s %s: %s", r.Method, r.URL.Path,
			controls)})
	})
	ready := make(chan struct{})
	world, err := sandbox.New(ctx, listen, seed,
		map[string]http.Handler{"/_sandbox/": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-ready // a request can arrive before the world exists
			mux.ServeHTTP(w, r)
		})}, names...)
	if err != nil {
		return nil, "", err
	}
	c.world = world
	close(ready)
	if err := world.Live(); err != nil {
		return nil, "", errors.Join(err, world.Close())
	}
	return world, world.CommerceURL + "/_sandbox", nil
}

// handler returns a handler that writes the result of f as JSON, or its error as a mistake of the caller.
func handler(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		out, err := f(r)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			out = map[string]string{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(out) // an error means that the client is gone
	}
}

// read decodes the body, and rejects unknown keys.
func read[T any](r *http.Request) (T, error) {
	in, err := jsonfile.Format[T]{MaxBytes: 1 << 20}.Read(r.Body)
	if err != nil {
		err = fmt.Errorf("%s %s: the body: %w", r.Method, r.URL.Path, err)
	}
	return in, err
}

func (c *control) maintenance(r *http.Request) (any, error) {
	type body struct {
		On *bool `json:"on"`
	}
	in, err := read[body](r)
	if err != nil {
		return nil, err
	}
	if in.On == nil {
		return nil, errors.New(`give {"on":true} or {"on":false}`)
	}
	c.world.Connect.SetMaintenance(*in.On)
	return map[string]bool{"on": *in.On}, nil
}

func (c *control) place(r *http.Request) (any, error) {
	type body struct {
		Count *int `json:"count"`
		commercetest.OrderSpec
	}
	in, err := read[body](r)
	if err != nil {
		return nil, err
	}
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	return c.world.Place(count, in.OrderSpec)
}

func (c *control) orders(*http.Request) (any, error) { return c.world.Commerce.Orders(), nil }

// namedFault is a fault and its system.
type namedFault struct {
	System string              `json:"system"`
	Fault  *commercetest.Fault `json:"fault"`
}

func (c *control) addFault(r *http.Request) (any, error) {
	in, err := read[namedFault](r)
	if err != nil {
		return nil, err
	}
	if in.Fault == nil {
		return nil, errors.New(
			`"fault" is missing: give for instance {"system":"commerce","fault":{"path":"*/push","times":1,"kind":"reset"}}`)
	}
	switch in.System {
	case "commerce":
		err = c.world.Commerce.AddFault(*in.Fault)
	case "connect":
		err = c.world.Connect.AddFault(*in.Fault)
	default:
		err = fmt.Errorf(`"system" is %q: give "commerce" or "connect"`, in.System)
	}
	if err != nil {
		return nil, err
	}
	return c.faults(r)
}

func (c *control) clearFaults(r *http.Request) (any, error) {
	c.world.Commerce.ClearFaults()
	c.world.Connect.ClearFaults()
	return c.faults(r)
}

func (c *control) faults(*http.Request) (any, error) {
	return map[string]any{"commerce": c.world.Commerce.FaultCounts(), "connect": c.world.Connect.FaultCounts()}, nil
}

// calls are the ledgers of both systems.
type calls struct {
	Commerce []commercetest.Push  `json:"commerce"`
	Connect  []connecttest.Change `json:"connect"`
}

func (c *control) ledger(*http.Request) (any, error) {
	return calls{Commerce: c.world.Commerce.Pushes(), Connect: c.world.Connect.Changes()}, nil
}

func (c *control) violations(*http.Request) (any, error) { return c.world.Violations(), nil }
