package billing_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/internal/testkit/tlstest"
)

func TestWithTLSFiles(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/row19.xml")
	require.NoError(t, err)
	ca := tlstest.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "operator", r.TLS.PeerCertificates[0].Subject.CommonName)
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write(content)
	}))
	server.TLS = ca.Server()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)

	client, err := billing.New(server.URL, billing.NoLogin(), billing.WithTLSFiles(ca.Client("operator")))
	require.NoError(t, err)
	order, err := client.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Equal(t, "SO000027", order.Number)

	stranger, err := billing.New(server.URL, billing.NoLogin(), billing.WithTLSFiles(tlstest.New(t).Client("stranger")),
		billing.WithMaxTries(1))
	require.NoError(t, err)
	_, err = stranger.Order(t.Context(), "1000027")
	require.ErrorIs(t, err, commerce.ErrUnavailable)
	require.ErrorContains(t, err, "name the authority")

	_, err = billing.New(server.URL, billing.NoLogin(), billing.WithTLSConfig(nil))
	require.ErrorContains(t, err, "the TLS settings are nil")
}
