package simpleapi_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit/tlstest"
)

func TestWithTLSFiles(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "operator", r.TLS.PeerCertificates[0].Subject.CommonName)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w,
			`{"id":"1000027","orderNumber":"SO000027","type":"sales","customerId":"1","status":"error","statusCode":"PF"}`)
	}))
	server.TLS = ca.Server()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)

	client, err := simpleapi.New(server.URL, simpleapi.Token("subscription-key", "token"),
		simpleapi.WithTLSFiles(ca.Client("operator")))
	require.NoError(t, err)
	order, err := client.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, "SO000027", order.Number)

	stranger, err := simpleapi.New(server.URL, simpleapi.Token("subscription-key", "token"),
		simpleapi.WithTLSFiles(tlstest.New(t).Client("stranger")), simpleapi.WithMaxTries(1))
	require.NoError(t, err)
	_, err = stranger.Order(t.Context(), "1000027")
	require.ErrorIs(t, err, commerce.ErrUnavailable)
	require.ErrorContains(t, err, "name the authority")

	_, err = simpleapi.New(server.URL, simpleapi.Token("subscription-key", "token"), simpleapi.WithTLSConfig(nil))
	require.ErrorContains(t, err, "the TLS settings are nil")
}
