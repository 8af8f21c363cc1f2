package rest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// SetTLS sets the TLS settings. It returns an error if they are set already.
func (c *Config) SetTLS(settings *tls.Config) error {
	switch {
	case settings == nil:
		return errors.New("the TLS settings are nil")
	case c.TLS != nil:
		return errors.New("the TLS settings are given twice")
	}
	c.TLS = settings
	return nil
}

// LoadTLS sets the TLS settings from PEM files: a client certificate, its key, and the
// authorities to trust. Empty names mean no certificate, or the system's authorities.
func (c *Config) LoadTLS(certFile, keyFile, caFile string) error {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case certFile == "" && keyFile == "" && caFile == "":
		return errors.New("no TLS file is named")
	case (certFile == "") != (keyFile == ""):
		return errors.New("a client certificate needs both its file and that of its key; name the same file twice " +
			"when it holds both")
	}
	if certFile != "" {
		pair, err := loadPair(certFile, keyFile)
		if err != nil {
			return err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	if caFile != "" {
		pool, err := loadAuthorities(caFile)
		if err != nil {
			return err
		}
		settings.RootCAs = pool
	}
	return c.SetTLS(settings)
}

func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	var none tls.Certificate
	cert, err := os.ReadFile(certFile) // #nosec G304 -- the caller names the file
	if err != nil {
		return none, fmt.Errorf("the client certificate cannot be read: %w", err)
	}
	key, err := os.ReadFile(keyFile) // #nosec G304 -- the caller names the file
	if err != nil {
		return none, fmt.Errorf("the client certificate's key cannot be read: %w", err)
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return none, fmt.Errorf("the key in %s is encrypted: decrypt it, for example with openssl pkey", keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return none, fmt.Errorf("%s and %s make no client certificate: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// loadAuthorities reads certificates. Unlike x509.CertPool.AppendCertsFromPEM it does not skip
// what it cannot read.
func loadAuthorities(file string) (*x509.CertPool, error) {
	content, err := os.ReadFile(file) // #nosec G304 -- the caller names the file
	if err != nil {
		return nil, fmt.Errorf("the authorities cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	begun, n := bytes.Count(content, []byte("-----BEGIN ")), 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: PEM block %d is a %s: only certificates of authorities belong "+
				"there", file, n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: PEM block %d: %w", file, n, err)
		}
		pool.AddCert(cert)
	}
	switch {
	case begun == 0:
		return nil, fmt.Errorf("%s holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----", file)
	case n < begun:
		return nil, fmt.Errorf("%s: only %d of %d PEM blocks can be read: the file is damaged", file, n, begun)
	default:
		return pool, nil
	}
}

// checkStrength rejects a transport whose TLS does not protect credentials. Other types than
// *http.Transport cannot be checked.
func checkStrength(t http.RoundTripper) error {
	transport, ok := t.(*http.Transport)
	if !ok || transport.TLSClientConfig == nil {
		return nil
	}
	settings := transport.TLSClientConfig
	tooOld := func(version uint16) bool { return version != 0 && version < tls.VersionTLS12 }
	switch {
	case settings.InsecureSkipVerify:
		return errors.New("InsecureSkipVerify would send the credentials to any server: " +
			"trust the server's authority by RootCAs instead, or allow it (WithInsecureTLS)")
	case tooOld(settings.MinVersion) || tooOld(settings.MaxVersion):
		return errors.New("TLS below 1.2 can be broken: leave MinVersion and MaxVersion at 0, or allow it (WithInsecureTLS)")
	default:
		return nil
	}
}

// checkTLS rejects settings that would have no effect.
func checkTLS(cfg Config) error {
	switch {
	case cfg.TLS == nil:
		return nil
	case cfg.HTTP != nil && cfg.HTTP.Transport != nil:
		return errors.New("TLS settings cannot be combined with an HTTP client that has its own transport: set " +
			"them in that transport")
	case strings.HasPrefix(strings.ToLower(cfg.BaseURL), "http:"):
		return errors.New("TLS settings do nothing for a base URL that starts with http://: use https://")
	default:
		return nil
	}
}

// trustError is a handshake that failed because one side rejected the other's certificate. It is
// permanent.
type trustError struct {
	err    error
	advice string
	remote bool // the server rejected the client
}

func (e *trustError) Error() string { return e.err.Error() + ": " + e.advice }
func (e *trustError) Unwrap() error { return e.err }

// explainTrust adds advice to the error of a certificate.
func explainTrust(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" &&
		slices.Contains(refusals, op.Err.Error()) {
		return &trustError{err, "the server seems to want a client certificate that it trusts: set one, or " +
			"another one, in the TLS settings", true}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return err
	}
	advice := "the server needs another certificate, or the clock of this machine is wrong"
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		advice = "name the authority that signed the server's certificate in the TLS settings"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		advice = "use a host in the base URL that the certificate is for, or set ServerName in the TLS settings"
	}
	return &trustError{err, advice, false}
}

// refusals are the alerts with which a server rejects a client's certificate. TLS 1.2 uses
// "handshake failure" if there is none. crypto/tls does not export their type.
var refusals = []string{
	"tls: bad certificate", "tls: unsupported certificate", "tls: revoked certificate", "tls: expired certificate",
	"tls: unknown certificate", "tls: unknown certificate authority", "tls: certificate required",
	"tls: handshake failure",
}
