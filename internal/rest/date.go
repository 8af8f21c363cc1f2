package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

// reportDate reports the Date of an answer to the limiter of the context. A cache adds to the Date
// how long it has kept the answer (RFC 9111 5.1).
func reportDate(ctx context.Context, host string, h http.Header, sent, received time.Time) {
	server, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	if age := strings.TrimSpace(h.Get("Age")); age != "" {
		seconds, err := number.ParseUint(age, 10, 31)
		if err != nil {
			return
		}
		server = server.Add(time.Duration(seconds) * time.Second)
	}
	// A Date is cut to seconds.
	ratelimit.ReportDate(ctx, host, server.Add(time.Second/2), received.Add(-received.Sub(sent)/2))
}
