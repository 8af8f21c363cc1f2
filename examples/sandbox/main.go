// Command sandbox runs both test systems as one local server, for programs in any language. It prints one line of JSON
// with their addresses and credentials. The README of the repository describes how to control them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(cli.Status("sandbox", err, os.Stderr))
}

// greeting is the line that is printed at the start.
type greeting struct {
	Commerce      string `json:"commerce"`
	Connect       string `json:"connect"`
	CommerceToken string `json:"commerceToken"`
	ConnectKey    string `json:"connectKey"`
	Control       string `json:"control"`
	Billing       string `json:"billing"`    // before /RPC2
	Operations    string `json:"operations"` // before /RPC2
	SimpleAPI     string `json:"simpleapi"`  // before /token and /orders
	SimpleLogin   login  `json:"simpleLogin"`
}

// login are the credentials of Simple API: the key for each call, and user and password for a token of its own or of
// Keycloak.
type login struct {
	SubscriptionKey string `json:"subscriptionKey"`
	User            string `json:"user"`
	Password        string `json:"password"`
	Keycloak        string `json:"keycloak"` // before /realms
	Realm           string `json:"realm"`
	ClientID        string `json:"clientId"`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0",
		"`address` to listen on; if other machines can reach it, they can use and control both systems")
	var names []string
	hostUsage := "host `name` of the server for clients, such as the name of a container (repeatable); " +
		"not needed for addresses and localhost"
	flags.Func("host", hostUsage, func(name string) error {
		if name == "" || strings.Contains(name, ":") {
			return errors.New("give a name without a port")
		}
		names = append(names, name)
		return nil
	})
	seed := flags.Uint64("seed", 1, "seed of the ids and delays; equal seeds and calls result in equal orders")
	billing := flags.String("billing", "",
		"`address` such as 127.0.0.1:5224 on which to serve Billing at the root too, for clients that take a port only")
	operations := flags.String("operations", "", "`address` such as 127.0.0.1:8440 on which to serve Operations too")
	if err := cli.Parse(flags, args, stdout, ""); err != nil {
		return err
	}
	world, control, err := open(ctx, *listen, *seed, names...)
	if err != nil {
		return fmt.Errorf("-listen %s: %w", *listen, err)
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	urls := commercetest.URLsAt(world.CommerceURL)
	for _, own := range []struct {
		flag, address string
		url           *string
		handler       http.Handler
	}{
		{"-billing", *billing, &urls.Billing, world.Commerce.Billing()},
		{"-operations", *operations, &urls.Operations, world.Commerce.Operations()},
	} {
		if own.address == "" {
			continue
		}
		if *own.url, err = world.Serve(ctx, own.address, own.handler); err != nil {
			return fmt.Errorf("%s %s: %w", own.flag, own.address, err)
		}
	}
	if world.Exposed {
		fmt.Fprintf(stderr, "sandbox: warning: -listen %s is open to other machines: they can use both test systems "+
			"with well-known credentials, and %s without credentials\n", *listen, control)
	}
	err = json.NewEncoder(stdout).Encode(greeting{
		Commerce: world.CommerceURL, Connect: world.ConnectURL,
		CommerceToken: world.CommerceToken, ConnectKey: world.ConnectKey, Control: control,
		Billing: urls.Billing, Operations: urls.Operations, SimpleAPI: urls.SimpleAPI,
		SimpleLogin: login{
			SubscriptionKey: commercetest.DefaultSimpleKey, User: commercetest.DefaultSimpleUser,
			Password: commercetest.DefaultSimplePassword, Keycloak: urls.Keycloak,
			Realm: commercetest.DefaultRealm, ClientID: commercetest.DefaultClientID,
		},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
