// Command testserver runs a Temporal server for the tests of package temporal, in a process of its own so that it can
// be killed, with its database in one SQLite file so that it can be started again.
//
// It is a module of its own because the server and the SDK need different versions of go.temporal.io/api, and because
// its first build takes about eleven minutes. It is not for production: after a power failure the last transactions may
// be missing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

func main() {
	file := flag.String("db", "", "the `FILE` of the database; it is made if it does not exist")
	port := flag.Int("port", 7233, "the first of four `PORTS` on 127.0.0.1; clients use this one")
	namespace := flag.String("namespace", "default", "the `NAME` of the namespace")
	flag.Parse()
	if err := run(*file, *port, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

// services are the parts of a server, in the order of their ports.
var services = []primitives.ServiceName{
	primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
}

// attributes are the search attributes that package temporal sets.
var attributes = map[string]enums.IndexedValueType{
	"ResubmitSystem":  enums.INDEXED_VALUE_TYPE_KEYWORD,
	"ResubmitPlan":    enums.INDEXED_VALUE_TYPE_KEYWORD,
	"ResubmitVendor":  enums.INDEXED_VALUE_TYPE_KEYWORD,
	"ResubmitOutcome": enums.INDEXED_VALUE_TYPE_KEYWORD,
}

func run(file string, port int, namespace string) error {
	if file == "" {
		return errors.New("give -db FILE")
	}
	cfg, sql := configure(file, port)
	if _, err := os.Stat(file); os.IsNotExist(err) {
		if err := sqlite.SetupSchema(sql); err != nil {
			return fmt.Errorf("set up %s: %w", file, err)
		}
	}
	ns, err := sqlite.NewNamespaceConfig(cfg.ClusterMetadata.CurrentClusterName, namespace, false, attributes)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	if err := sqlite.CreateNamespaces(sql, ns); err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	hosts := make(map[primitives.ServiceName]static.Hosts)
	for i, s := range services { // without static hosts, the server looks for those of the last process for 46 s
		hosts[s] = static.SingleLocalHost(address(port + i))
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg), temporal.ForServices(temporal.DefaultServices), temporal.WithStaticHosts(hosts),
		temporal.WithLogger(log.NewNoopLogger()), temporal.WithDynamicConfigClient(dynamicconfig.StaticClient{
			dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
			dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():      1,
			dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():     1,
		}))
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	fmt.Println("ready on", address(port))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return server.Stop()
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func configure(file string, port int) (*config.Config, *config.SQL) {
	sql := config.SQL{
		PluginName: sqliteplugin.PluginName, DatabaseName: file,
		// Without the underscore that the server's own tests have: SQLite ignores that name.
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "1"},
	}
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: "sqlite", VisibilityStore: "sqlite", NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{"sqlite": {SQL: &sql}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address(port)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: address(port)},
		Services:            make(map[string]config.Service),
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}
	for i, s := range services {
		cfg.Services[string(s)] = config.Service{RPC: config.RPC{GRPCPort: port + i, BindOnIP: "127.0.0.1"}}
	}
	return cfg, &sql
}
