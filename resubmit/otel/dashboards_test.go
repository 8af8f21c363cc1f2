package otelresubmit_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// mayNotOccur are values of labels that the demo does not show.
var mayNotOccur = map[string]bool{"refused": true, "notSent": true, "open": true, "stopped": true, "failed": true}

// checkDashboards checks the queries of the dashboard and of the alerts against the metrics of a run.
func checkDashboards(t *testing.T, families []*dto.MetricFamily) {
	metrics, used := promLabels(families), map[string]bool{}
	for _, query := range slices.Concat(dashboardQueries(t), alertQueries(t)) {
		e, err := metricsql.Parse(query)
		require.NoError(t, err, query)
		metricsql.VisitAll(e, func(e metricsql.Expr) {
			if m, ok := e.(*metricsql.MetricExpr); ok {
				used[checkSelector(t, query, m, metrics)] = true
			}
			if a, ok := e.(*metricsql.AggrFuncExpr); ok {
				for _, label := range a.Modifier.Args {
					require.True(t, slices.ContainsFunc(labelSets(metrics), func(l map[string][]string) bool {
						_, has := l[label]
						return has
					}), "%s: no metric has the label %s", query, label)
				}
			}
		})
	}
	for name := range metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		shown := used[name] || used[base+"_bucket"] || used[base+"_sum"] || used[base+"_count"]
		require.True(t, shown || !strings.HasPrefix(name, "cloudblue_"), "nothing shows %s", name)
	}
}

func labelSets(metrics map[string]map[string][]string) (sets []map[string][]string) {
	for _, labels := range metrics {
		sets = append(sets, labels)
	}
	return sets
}

// checkSelector checks the name and the labels of a selector, and returns the name.
func checkSelector(t *testing.T, query string, m *metricsql.MetricExpr, metrics map[string]map[string][]string) string {
	require.Len(t, m.LabelFilterss, 1, query)
	name := ""
	for _, f := range m.LabelFilterss[0] {
		if f.Label == "__name__" {
			name = f.Value
			require.NotNil(t, metrics[name], "%s: the metrics are %s", query, describe(metrics))
			continue
		}
		values, ok := metrics[name][f.Label]
		require.True(t, ok, "%s: %s has no label %s", query, name, f.Label)
		for _, v := range strings.Split(f.Value, "|") {
			outcome := slices.Contains(protocol.Outcomes(), protocol.Outcome(v))
			require.True(t, v == "" || mayNotOccur[v] || outcome || slices.Contains(values, v),
				"%s: %s has no value %s", query, f.Label, v)
		}
	}
	require.NotEmpty(t, name, query)
	return name
}

func dashboardQueries(t *testing.T) (queries []string) {
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile("dashboards/grafana.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.UID)
	require.NotEmpty(t, dashboard.Panels)
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			queries = append(queries, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	return queries
}

func alertQueries(t *testing.T) (queries []string) {
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	text, err := os.Open("dashboards/alerts.yaml")
	require.NoError(t, err)
	defer func() { _ = text.Close() }()
	decoder := yaml.NewDecoder(text)
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	for _, g := range file.Groups {
		require.NotEmpty(t, g.Name)
		for _, r := range g.Rules {
			require.NotEmpty(t, r.Alert)
			require.NotEmpty(t, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
			if r.Alert == "ResubmitOrdersNeedPerson" || r.Alert == "ResubmitRunFailed" {
				requireNewSeries(t, r.Expr)
			}
			queries = append(queries, r.Expr)
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// requireNewSeries checks that an alert on an increase also counts the first value of a series, in which there is none.
// A process may end before its second value is seen.
func requireNewSeries(t *testing.T, query string) {
	t.Helper()
	increase, selector := "", ""
	e, err := metricsql.Parse(query)
	require.NoError(t, err)
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		if f, ok := e.(*metricsql.FuncExpr); ok && f.Name == "increase" {
			increase = string(f.Args[0].AppendString(nil))
		}
		if b, ok := e.(*metricsql.BinaryOpExpr); ok && strings.EqualFold(b.Op, "unless") {
			selector = string(b.Left.AppendString(nil))
			require.Equal(t, selector+" offset 30m", string(b.Right.AppendString(nil)))
		}
	})
	require.NotEmpty(t, selector, "%s: a series that begins with a failure is not seen", query)
	require.Equal(t, selector+"[30m]", increase)
}
