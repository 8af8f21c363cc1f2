package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// cronJob has the fields of the example. They are those of batch/v1: another field, or a misspelled one, is an error.
type cronJob struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Schedule          string
		TimeZone          string `yaml:"timeZone"`
		ConcurrencyPolicy string `yaml:"concurrencyPolicy"`
		JobTemplate       struct {
			Spec struct {
				BackoffLimit     int `yaml:"backoffLimit"`
				PodFailurePolicy struct {
					Rules []struct {
						Action      string
						OnExitCodes struct {
							Operator string
							Values   []int
						} `yaml:"onExitCodes"`
					}
				} `yaml:"podFailurePolicy"`
				Template struct{ Spec podSpec }
			}
		} `yaml:"jobTemplate"`
	}
}

type podSpec struct {
	RestartPolicy                 string         `yaml:"restartPolicy"`
	TerminationGracePeriodSeconds int            `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               map[string]any `yaml:"securityContext"`
	Containers                    []struct {
		Name, Image   string
		Args          []string
		Env           []struct{ Name, Value string }
		LivenessProbe struct {
			HTTPGet struct {
				Path string
				Port int
			} `yaml:"httpGet"`
			PeriodSeconds int `yaml:"periodSeconds"`
		} `yaml:"livenessProbe"`
		SecurityContext map[string]any `yaml:"securityContext"`
		VolumeMounts    []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	Volumes []struct {
		Name                  string
		PersistentVolumeClaim struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName string `yaml:"secretName"`
		} `yaml:"secret"`
	}
}

func TestCronJobOfTheExample(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../deploy/cronjob.yaml")
	require.NoError(t, err)
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var job cronJob
	require.NoError(t, decoder.Decode(&job))
	require.Equal(t, []string{"batch/v1", "CronJob", "Forbid"},
		[]string{job.APIVersion, job.Kind, job.Spec.ConcurrencyPolicy}, "only one pod may use the journal")
	rules := job.Spec.JobTemplate.Spec.PodFailurePolicy.Rules
	require.Len(t, rules, 1)
	require.Equal(t, []int{exitUsage, exitWait, exitStopped}, rules[0].OnExitCodes.Values, "the next job continues")
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	require.Equal(t, "Never", pod.RestartPolicy, "podFailurePolicy needs it")
	require.Len(t, pod.Containers, 1)
	container := pod.Containers[0]
	requireUnderstood(t, container.Args)
	require.Equal(t, "/livez", container.LivenessProbe.HTTPGet.Path)
	require.Contains(t, container.Args, ":8081")
	require.Equal(t, 8081, container.LivenessProbe.HTTPGet.Port)
	var mounted, volumes []string
	for _, m := range container.VolumeMounts {
		mounted = append(mounted, m.Name)
		if m.Name == "state" || m.Name == "anchor" {
			require.False(t, m.ReadOnly)
		}
	}
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	require.ElementsMatch(t, volumes, mounted)
	for _, variable := range container.Env {
		requireVariable(t, variable.Name)
	}
}

func TestUnitOfTheExample(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../deploy/aftermaintenance.service")
	require.NoError(t, err)
	start := regexp.MustCompile(`(?m)^ExecStart=\S+/aftermaintenance (.*)$`).FindStringSubmatch(string(unit))
	require.NotNil(t, start)
	requireUnderstood(t, strings.Fields(start[1]))
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for assignment := range strings.FieldsSeq(line[1]) {
			name, _, _ := strings.Cut(assignment, "=")
			requireVariable(t, name)
		}
	}
}

// requireUnderstood requires that the program takes arguments, with other paths. It lacks only an address then.
func requireUnderstood(t *testing.T, args []string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(config, []byte("{}"), 0o600))
	args = slices.Clone(args)
	args[slices.Index(args, "-state")+1], args[slices.Index(args, "-config")+1] = dir, config
	requireRejected(t, nil, args, exitUsage, "the address of Commerce is not known")
}

// requireVariable requires that the program reads an environment variable.
func requireVariable(t *testing.T, name string) {
	t.Helper()
	if name == "XDG_CONFIG_HOME" { // see os.UserConfigDir
		return
	}
	help, _ := done(t, nil, "-help")
	variable, file := strings.CutSuffix(name, "_FILE")
	require.True(t, file)
	require.Contains(t, help, variable)
}
