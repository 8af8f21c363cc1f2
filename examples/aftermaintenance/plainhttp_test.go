package main

import (
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	env := map[string]string{"CONNECT_API_KEY": "SU-1:key", "COMMERCE_TOKEN": "token-of-the-test"}
	parse := func(args ...string) (*settings, error) {
		args = append([]string{"-windows", "w.json"}, args...)
		return parseFlags(args, func(name string) string { return env[name] }, io.Discard)
	}
	const remote, local, secure = "http://h.example:8080/x", "http://127.0.0.1:1", "https://h.example"
	for name, args := range map[string][]string{
		"-commerce": {"-commerce", remote, "-connect", secure},
		"-connect":  {"-commerce", local, "-connect", remote},
	} {
		_, err := parse(args...)
		require.ErrorContains(t, err, name+": the credentials would be sent to h.example:8080 over plain http")
		require.ErrorContains(t, err, "-plain-http")
		s, err := parse(append(slices.Clone(args), "-plain-http")...)
		require.NoError(t, err)
		_, err = s.api.open(nil)
		require.NoError(t, err)
	}
	s, err := parse("-commerce", local, "-connect", "http://localhost:2")
	require.NoError(t, err)
	_, err = s.api.open(nil)
	require.NoError(t, err)
}
