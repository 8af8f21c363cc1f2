package commerce_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit/wiretest"
)

const orderID = "1000027"

// pusher is what the three clients have in common.
type pusher interface {
	Order(ctx context.Context, id string) (*commerce.Order, error)
	Push(ctx context.Context, id string, to commerce.Status) error
}

// kind is one of the clients, and how its server answers well.
type kind struct {
	name   string
	answer string
	reads  int // how many reads a push makes first
	make   func(url string, h *http.Client, timeout time.Duration) (pusher, error)
}

func kinds() []kind {
	const (
		apsOrder = `{"orderId":"` + orderID + `","orderNumber":"SO000027","type":"SO","status":"PF",` +
			`"orderDate":"2026-11-21T02:00:00Z"}`
		apiOrder = `{"id":"` + orderID + `","orderNumber":"SO000027","type":"SO","status":"error","statusCode":"PF"}`
	)
	return []kind{
		{"ordermanager", apsOrder, 0, func(url string, h *http.Client, timeout time.Duration) (pusher, error) {
			return ordermanager.New(url, ordermanager.Token("a-token-of-the-test"),
				ordermanager.WithHTTPClient(h), ordermanager.WithTimeout(timeout))
		}},
		{"billing", billingRow(), 1, func(url string, h *http.Client, timeout time.Duration) (pusher, error) {
			return billing.New(url, billing.NoLogin(),
				billing.WithHTTPClient(h), billing.WithTimeout(timeout), billing.WithDefaultCurrency("EUR"))
		}},
		{"simpleapi", apiOrder, 0, func(url string, h *http.Client, timeout time.Duration) (pusher, error) {
			return simpleapi.New(url, simpleapi.Token("key-of-the-test", "token-of-the-test"),
				simpleapi.WithHTTPClient(h), simpleapi.WithTimeout(timeout))
		}},
	}
}

// billingRow is the answer of GetOrder_API with 17 columns.
func billingRow() string {
	var row strings.Builder
	for _, cell := range []string{
		"<i4>" + orderID + "</i4>", "<string>SO000027</string>", "<i4>1</i4>", "<i4>1002</i4>", "<string>PF</string>",
		"<string>SO</string>", "<i4>1795000000</i4>", "<i4>1795000000</i4>", "<double>10.50</double>", "<double>0</double>",
		"<double>0</double>", "<double>10.50</double>", "<string/>", "<i4>-2147483648</i4>", "<string/>",
		"<i4>-2147483648</i4>", "<i4>-2147483648</i4>",
	} {
		row.WriteString("<value>" + cell + "</value>")
	}
	return "<methodResponse><params><param><value><struct><member><name>Result</name>" +
		"<value><array><data><value><array><data>" + row.String() + "</data></array></value></data></array></value>" +
		"</member></struct></value></param></params></methodResponse>"
}

// The transports that a program can supply.
const (
	plainTransport    = "http.Transport"
	wrappedTransport  = "wrapped"
	retryingTransport = "retrying"
)

// httpClient makes one that trusts the server and speaks its protocol.
func httpClient(s *wiretest.Server, transport string) *http.Client {
	t := &http.Transport{TLSClientConfig: s.TLS, ForceAttemptHTTP2: true, IdleConnTimeout: 10 * time.Second}
	switch transport {
	case wrappedTransport:
		return &http.Client{Transport: wrapped{t}}
	case retryingTransport:
		return &http.Client{Transport: retrying{t}}
	default:
		return &http.Client{Transport: t}
	}
}

type wrapped struct{ http.RoundTripper }

// retrying sends a request that failed again, as some wrappers do.
type retrying struct{ next http.RoundTripper }

func (r retrying) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	var body []byte
	if req.Body != nil {
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	for range 4 {
		again := req.Clone(req.Context())
		if body != nil {
			again.Body = io.NopCloser(bytes.NewReader(body))
		}
		resp, err = r.next.RoundTrip(again)
		if err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusRequestTimeout {
			return resp, nil
		}
		if err == nil {
			_ = resp.Body.Close()
			err = errors.New(resp.Status)
		}
	}
	return nil, err
}

// outcomes is the table that the test prints.
type outcomes struct {
	mu   sync.Mutex
	rows []string
}

// columns are protocol, client, transport, connection, failure mode, requests, delivery.
const columns = "%-13s  %-12s  %-14s  %-10s  %-36s  %8v  %s"

func (o *outcomes) add(protocol, client, transport, connection, mode string, seen int, d commerce.Delivery) {
	shown := string(d)
	if d == commerce.DeliveryUnknown {
		shown = "unknown"
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows = append(o.rows, fmt.Sprintf(columns, protocol, client, transport, connection, mode, seen, shown))
}

func (o *outcomes) String() string {
	slices.Sort(o.rows)
	head := fmt.Sprintf(columns, "protocol", "client", "transport", "connection", "failure mode", "requests", "delivery")
	return head + "\n" + strings.Join(o.rows, "\n")
}

// golang/go#47635, golang/go#48994, golang/go#22158, JuliaWeb/HTTP.jl#1294, cloudflare/pingora#979.
func TestPush(t *testing.T) {
	t.Parallel()
	var table outcomes
	t.Run("is at most one request", func(t *testing.T) {
		for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP1TLS, wiretest.HTTP2} {
			for _, mode := range wiretest.Modes(protocol) {
				for _, k := range kinds() {
					for _, transport := range []string{plainTransport, wrappedTransport, retryingTransport} {
						for _, kept := range []bool{false, true} {
							if kept && k.reads > 0 || transport != plainTransport && (!kept || k.name != "ordermanager") {
								continue // its own read keeps it; and one client is enough for the transports
							}
							name := strings.Join([]string{protocol, mode.Name, k.name, transport, fmt.Sprint(kept)}, "/")
							t.Run(name, func(t *testing.T) {
								t.Parallel()
								pushOnce(t, &table, protocol, mode, k, transport, kept)
							})
						}
					}
				}
			}
		}
	})
	t.Log("\n" + table.String())
}

func pushOnce(t *testing.T, table *outcomes, protocol string, mode wiretest.Mode, k kind, transport string, kept bool) {
	t.Helper()
	s := wiretest.New(t, protocol, k.answer)
	timeout := 30 * time.Second
	if mode.Slow {
		timeout = 200 * time.Millisecond
	}
	c, err := k.make(s.URL, httpClient(s, transport), timeout)
	require.NoError(t, err)
	connection := "fresh"
	if kept || k.reads > 0 {
		connection = "kept"
	}
	if kept {
		_, err = c.Order(t.Context(), orderID)
		require.NoError(t, err)
	}
	s.Fail(mode, k.reads)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = c.Push(ctx, orderID, "PD")
	e, ok := errors.AsType[*commerce.Error](err)
	require.True(t, ok, "%v", err)
	seen := s.Seen()
	table.add(protocol, k.name, transport, connection, mode.Name, seen, e.Delivery)
	require.LessOrEqual(t, seen, 1, "%v", err)
	require.False(t, mode.Slow && e.Gateway(), "nothing answered")
	if seen == 1 {
		require.Equal(t, commerce.DeliveryUnknown, e.Delivery, "%v", err)
	} else {
		require.NotEqual(t, commerce.DeliveryRefused, e.Delivery, "%v", err)
	}
}
