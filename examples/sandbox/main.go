// Command sandbox runs both test systems as one local server, for programs in
// any language. It prints one line of JSON that tells where they are and which
// credentials they take; the README of the repository says how to control them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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

// greeting is the line that tells a program where everything is.
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

// login is what Simple API takes: the key in every call, user and password for a
// token, either of its own or of Keycloak's.
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
		"`address` to listen on; if other machines can reach it, they can use both systems and their control")
	var names []string
	hostUsage := "`name` by which clients reach the server, such as that of a container (repeatable); " +
		"addresses and localhost need none"
	flags.Func("host", hostUsage, func(name string) error {
		if name == "" || strings.Contains(name, ":") {
			return errors.New("give a name without a port")
		}
		names = append(names, name)
		return nil
	})
	seed := flags.Uint64("seed", 1, "equal seeds and equal calls make equal orders")
	if err := cli.Parse(flags, args, stdout, ""); err != nil {
		return err
	}
	world, control, err := open(ctx, *listen, *seed, names...)
	if err != nil {
		return fmt.Errorf("-listen %s: %w", *listen, err)
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	if world.Exposed {
		fmt.Fprintf(stderr, "sandbox: warning: -listen %s is open to other machines: they can use both test systems "+
			"with well-known credentials, and %s without credentials\n", *listen, control)
	}
	urls := commercetest.URLsAt(world.CommerceURL)
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
