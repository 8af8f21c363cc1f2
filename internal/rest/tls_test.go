package rest_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/tlstest"
)

// tlsServer is signed by a private authority and demands a certificate of it.
func tlsServer(t *testing.T, ca *tlstest.Authority, version uint16) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.WriteString(w, `"`+r.TLS.PeerCertificates[0].Subject.CommonName+`"`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about handshakes, rightly
	server.EnableHTTP2 = true
	server.TLS = ca.Server()
	server.TLS.MaxVersion = version
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, calls
}

func tlsClient(t *testing.T, url string, settings *tls.Config) *rest.Client {
	t.Helper()
	c, err := rest.New(rest.Config{BaseURL: url, TLS: settings, MaxWait: time.Millisecond, Timeout: 10 * time.Second})
	require.NoError(t, err)
	return c
}

func loadTLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	var cfg rest.Config
	err := cfg.LoadTLS(certFile, keyFile, caFile)
	return cfg.TLS, err
}

func TestLoadTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	settings, err := loadTLS(ca.Client("operator"))
	require.NoError(t, err)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		url, calls := tlsServer(t, ca, version)
		var name string
		_, err = tlsClient(t, url, settings).JSON(t.Context(), get, &name)
		require.NoError(t, err)
		require.Equal(t, "operator", name)
		require.EqualValues(t, 1, calls.Load())
	}
}

func TestCertificateErrors(t *testing.T) {
	t.Parallel()
	ca, other := tlstest.New(t), tlstest.New(t)
	cert, key, authority := ca.Client("operator")
	otherCert, otherKey, otherAuthority := other.Client("operator")
	for _, tc := range []struct {
		name            string
		cert, key, auth string
		server          string
		want            string
	}{
		{"no authority", cert, key, "", "", "name the authority that signed the server's certificate"},
		{"another authority", cert, key, otherAuthority, "", "name the authority that signed the server's certificate"},
		{"another host", cert, key, authority, "elsewhere.example", "use a host in the base URL that the certificate is for"},
		{"no client certificate", "", "", authority, "", "the server seems to want a client certificate"},
		{"a client certificate of another authority", otherCert, otherKey, authority, "",
			"the server seems to want a client certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			settings := &tls.Config{MinVersion: tls.VersionTLS12}
			if tc.cert+tc.auth != "" {
				var err error
				settings, err = loadTLS(tc.cert, tc.key, tc.auth)
				require.NoError(t, err)
			}
			settings.ServerName = tc.server
			url, calls := tlsServer(t, ca, tls.VersionTLS12)
			for _, req := range []rest.Request{get, post} {
				_, err := tlsClient(t, url, settings).Do(t.Context(), req)
				require.ErrorContains(t, err, tc.want)
				require.True(t, restError(t, err).NotSent)
			}
			require.Zero(t, calls.Load())
		})
	}
}

// With TLS 1.3 the refusal comes when the client has already sent its request. The
// server here reads all of that, as it would get lost otherwise in a reset.
func TestRefusedClientCertificateMeansNotSent(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	_, _, authority := ca.Client("operator")
	settings, err := loadTLS("", "", authority)
	require.NoError(t, err)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var handshakes atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handshakes.Add(1)
			if tls.Server(conn, ca.Server()).HandshakeContext(t.Context()) != nil {
				_, _ = io.Copy(io.Discard, conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	for i, req := range []rest.Request{get, post} {
		_, err = tlsClient(t, "https://"+l.Addr().String(), settings).Do(t.Context(), req)
		require.ErrorContains(t, err, "certificate required: the server seems to want a client certificate that it trusts")
		require.True(t, restError(t, err).NotSent)
		require.EqualValues(t, i+1, handshakes.Load(), "another try would fail alike")
	}
}

// oldConnection is a transport that reports a connection before it fails.
type oldConnection struct{ reused bool }

func (o oldConnection) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Reused: o.reused})
	return nil, &net.OpError{Op: "remote error", Err: errors.New("tls: expired certificate")}
}

func TestRefusedCertificateOnReusedConnection(t *testing.T) {
	t.Parallel()
	for _, reused := range []bool{false, true} {
		c, err := rest.New(rest.Config{BaseURL: base, HTTP: &http.Client{Transport: oldConnection{reused}}})
		require.NoError(t, err)
		_, err = c.Do(t.Context(), post)
		require.ErrorContains(t, err, "set one, or another one, in the TLS settings")
		require.Equal(t, !reused, restError(t, err).NotSent)
	}
}

func TestSetTLSTwice(t *testing.T) {
	t.Parallel()
	var cfg rest.Config
	require.ErrorContains(t, cfg.SetTLS(nil), "are nil")
	require.NoError(t, cfg.LoadTLS(tlstest.New(t).Client("operator")))
	require.ErrorContains(t, cfg.SetTLS(&tls.Config{MinVersion: tls.VersionTLS12}), "are given twice")
}

func TestNewRejectsUselessOrInsecureTLS(t *testing.T) {
	t.Parallel()
	good := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, tc := range []struct {
		cfg  rest.Config
		want string
	}{
		{rest.Config{BaseURL: base, TLS: &tls.Config{InsecureSkipVerify: true}},
			"trust the server's authority by RootCAs instead"},
		{rest.Config{BaseURL: base, TLS: good, HTTP: &http.Client{Transport: &http.Transport{}}},
			"has its own transport: set them in that transport"},
		{rest.Config{BaseURL: "HTTP://host.example", TLS: good}, "do nothing for a base URL that starts with http://"},
	} {
		_, err := rest.New(tc.cfg)
		require.ErrorContains(t, err, tc.want)
	}
}

func TestTLSSettingsAreCopied(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	settings, err := loadTLS(ca.Client("operator"))
	require.NoError(t, err)
	url, _ := tlsServer(t, ca, tls.VersionTLS13)
	given := &http.Client{}
	c, err := rest.New(rest.Config{BaseURL: url, TLS: settings, HTTP: given})
	require.NoError(t, err)
	settings.Certificates, settings.RootCAs = nil, nil
	_, err = c.JSON(t.Context(), get, nil)
	require.NoError(t, err)
	require.Nil(t, given.Transport)
}

func TestLoadTLSErrors(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	cert, key, authority := ca.Client("operator")
	_, otherKey, _ := ca.Client("another")
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	read := func(path string) string {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(content)
	}
	both := file("both.pem", read(cert)+read(key))
	for _, good := range [][3]string{{cert, key, authority}, {both, both, ""},
		{"", "", file("two.pem", "# ours\n"+read(authority)+read(authority))}} {
		_, err := loadTLS(good[0], good[1], good[2])
		require.NoError(t, err)
	}
	block := func(kind, content string) string {
		return "-----BEGIN " + kind + "-----\n" + content + "\n-----END " + kind + "-----\n"
	}
	for _, tc := range []struct {
		name            string
		cert, key, auth string
		want            string
	}{
		{"nothing", "", "", "", "no TLS file is named"},
		{"no key", cert, "", authority, "name the same file twice when it holds both"},
		{"no certificate", "", key, "", "needs both its file and that of its key"},
		{"a certificate file that is not there", "nowhere.pem", key, "",
			"the client certificate cannot be read: open nowhere.pem"},
		{"a key file that is not there", cert, "nowhere.pem", "",
			"the client certificate's key cannot be read: open nowhere.pem"},
		{"an authority file that is not there", "", "", "nowhere.pem", "the authorities cannot be read: open nowhere.pem"},
		{"the key of another", cert, otherKey, "", "private key does not match public key"},
		{"the two swapped", key, cert, "", "make no client certificate"},
		{"an encrypted key", cert, file("enc.pem", block("ENCRYPTED PRIVATE KEY", "AAAA")), "", "is encrypted: decrypt it"},
		{"an authority in another form", "", "", file("ca.der", "\x30\x82"), "holds no certificate in PEM form"},
		{"a key for an authority", "", "", both, "PEM block 2 is a PRIVATE KEY"},
		{"an authority that is none", "", "", file("ca1.pem", block("CERTIFICATE", "AAAA")), "PEM block 1: x509:"},
		{"a damaged authority", "", "", file("ca2.pem", read(authority)+strings.Replace(read(authority), "END", "FIN", 1)),
			"only 1 of 2 PEM blocks can be read"},
	} {
		_, err := loadTLS(tc.cert, tc.key, tc.auth)
		require.ErrorContains(t, err, tc.want, tc.name)
		require.NotContains(t, err.Error(), "\n")
	}
}
