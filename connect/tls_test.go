package connect_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit/tlstest"
)

func TestTLSWithPrivateAuthorityAndClientCertificate(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connect-Version", "1")
		_, _ = io.WriteString(w, `{"id":"HB-1","name":"`+r.TLS.PeerCertificates[0].Subject.CommonName+`"}`)
	}))
	server.TLS = ca.Server()
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about handshakes, rightly
	server.StartTLS()
	t.Cleanup(server.Close)

	client, err := connect.New(server.URL, connect.APIKey(testKey), connect.WithTLSFiles(ca.Client("operator")))
	require.NoError(t, err)
	hub, err := client.Hub(t.Context(), "HB-1")
	require.NoError(t, err)
	require.Equal(t, "operator", hub.Name)
	probe, err := client.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, connect.ClassUp, probe.Class)

	client, err = connect.New(server.URL, connect.APIKey(testKey),
		connect.WithTLSConfig(&tls.Config{MinVersion: tls.VersionTLS13}))
	require.NoError(t, err)
	_, err = client.Hub(t.Context(), "HB-1")
	require.ErrorContains(t, err, "name the authority that signed the server's certificate in the TLS settings")
	probe, err = client.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, connect.ClassUnreachable, probe.Class)
	require.ErrorContains(t, probe.Err, "name the authority")
}

func TestNewRejectsTLSSettings(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]connect.Option{
		"connect: the TLS settings are nil":                      {connect.WithTLSConfig(nil)},
		"connect: the authorities cannot be read: open nowhere:": {connect.WithTLSFiles("", "", "nowhere")},
		"connect: InsecureSkipVerify would send": {connect.WithTLSConfig(
			&tls.Config{InsecureSkipVerify: true})},
		"connect: TLS settings cannot be combined": {
			connect.WithHTTPClient(&http.Client{Transport: http.DefaultTransport}), connect.WithTLSConfig(&tls.Config{}),
		},
	} {
		_, err := connect.New("", connect.APIKey(testKey), opts...)
		require.ErrorContains(t, err, want)
	}
}
