package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

func TestBaseURLIsNormalized(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://mn.example.net:6308":   "https://mn.example.net:6308",
		"HTTPS://MN.Example.NET:443/":   "https://mn.example.net",
		"http://127.0.0.1:80/Brand/":    "http://127.0.0.1/Brand",
		"https://[::1]:6308":            "https://[::1]:6308",
		"https://gw.example.net/a%2Fb/": "https://gw.example.net/a%2Fb",
	} {
		c, err := rest.New(rest.Config{BaseURL: given})
		require.NoError(t, err)
		require.Equal(t, want, c.BaseURL(""))
		require.Equal(t, want+"/RPC2", c.BaseURL("/RPC2"))
	}
}
