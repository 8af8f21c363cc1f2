// Package otelresubmit reports what planners and Runners of package resubmit do to OpenTelemetry: spans, metrics, and
// the requests of the clients. It is a module of its own, so that programs without it link nothing of OpenTelemetry.
// Its name is that of OpenTelemetry's own instrumentations, such as otelhttp, so that it can be imported together with
// go.opentelemetry.io/otel:
//
//	import otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
//
//	t, err := otelresubmit.New(otelresubmit.Options{TracerProvider: traces, MeterProvider: metrics})
//	orders, err := ordermanager.New(url, auth, ordermanager.WithMiddleware(t.Transport))
//	vendors, err := connect.New(connectURL, key, connect.WithMiddleware(t.Transport))
//	systems := resubmit.SystemsOf(orders, orders)
//	systems.Requests, systems.Prober = vendors, vendors
//	systems = t.Systems(systems)
//	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{Systems: systems, Tracer: t, …})
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Tracer: t, OnEvent: t.OnEvent(nil), …})
//
// The fields are the same in state.Config and watch.Config.
//
// # Spans
//
//	resubmit plan            a plan is made
//	└ list orders, …         a call, and below it its requests (otelhttp)
//	resubmit run             Apply; has a link to the span of its plan, if that was made in this process
//	├ resubmit order         from the first step of an order to its outcome
//	│ ├ read order           a call about this order
//	│ └ push order           the push; at most one request below it
//	└ look up requests, …    a call about many orders, such as a shared verification
//
// Runs and plans are children of the span in the context that is given to them, if any. Spans have ids and numbers of
// orders, but no names of customers, no texts of failures or errors, no queries of URLs and no credentials. What a
// failed call has is error.type: a word, a status of HTTP or, for a request, the Go type of its error.
//
// # Metrics
//
// Names and units follow OpenTelemetry's semantic conventions. Prometheus shows cloudblue.resubmit.orders as
// cloudblue_resubmit_orders_total.
//
//	cloudblue.resubmit.orders             {order}   orders that are done, by order.outcome and failure.class
//	cloudblue.resubmit.plan.orders        {order}   orders of the last applied plan, by plan.action
//	cloudblue.resubmit.pushes             {push}    by push.answer: accepted, refused, unanswered, notSent
//	cloudblue.resubmit.call.duration      s         calls, by system, operation and error.type
//	cloudblue.resubmit.rate               {call}/s  rate limit in force; -1 is no limit
//	cloudblue.resubmit.waiting            {run}     runs whose pushes wait
//	cloudblue.resubmit.wait.duration      s         how long pushes have waited
//	cloudblue.resubmit.canary.groups      {group}   of the last run, by canary.state: testing, released, stopped
//	cloudblue.resubmit.circuit.state      {run}     1 for the state of the circuit breaker, by circuit.state
//	cloudblue.resubmit.active_runs        {run}     runs that are applied now
//	cloudblue.resubmit.runs               {run}     by run.result: completed, incomplete, stopped, failed
//	cloudblue.resubmit.run.duration       s         how long they took, by run.result
//	cloudblue.resubmit.recovery.duration  s         from the end of the maintenance until an order was verified
//
// All these attributes but error.type begin with cloudblue, such as cloudblue.order.outcome.
//
// An order whose outcome an earlier run has recorded is not counted again. No attribute has the number or id of an
// order, a customer, or free text. otelhttp adds http.client.request.duration and http.client.request.body.size.
//
// The counters orders, pushes and runs have all their series from New on, with the value zero, so that Prometheus sees
// the first failure as an increase. Call New when the process starts, and not just before a run.
//
// The directory dashboards has a Grafana dashboard and alert rules for Prometheus.
//
// # Logs
//
// The library logs through log/slog. Give it a logger of go.opentelemetry.io/contrib/bridges/otelslog:
//
//	cfg.Logger = otelslog.NewLogger("billing", otelslog.WithLoggerProvider(logs))
//
// # Errors and concurrency
//
// A [Telemetry] is safe for concurrent use. It never changes the result of a call, and sends nothing itself: what the
// providers cannot export is lost. The trace context is not sent to Commerce and Connect.
package otelresubmit
