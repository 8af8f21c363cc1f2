package connect

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// Hub is a system that sends requests to Connect, such as a Commerce installation.
type Hub struct {
	ID   string
	Name string
	// InstanceID is the UUID of the Commerce installation.
	InstanceID string
	// InstanceType is "OA" for CloudBlue Commerce, "API" for others.
	InstanceType string
	// Version is the version of Commerce, ExtensionVersion that of its connector.
	Version          string
	ExtensionVersion string
	// LastHealthCheck is when Commerce last reported to Connect, about every 305 s by the
	// code of the connector (connect/WIRE.md#0.7). If it is recent, Commerce can reach
	// Connect. Zero if it never did.
	LastHealthCheck time.Time
	// Raw is the hub as the server sent it.
	Raw json.RawMessage
}

// Hubs lists the hubs that the key may read: those of one Commerce installation, or all if
// instanceID is "". Hubs of other installations are left out and reported as in
// [Client.Requests]. An error ends the sequence.
func (c *Client) Hubs(ctx context.Context, instanceID string) iter.Seq2[*Hub, error] {
	const op = "list hubs"
	var terms []rql.Expr
	if instanceID != "" {
		terms = append(terms, rql.Call("eq", rql.Val("instance.id"), rql.Val(instanceID)))
	}
	query, err := encode(terms)
	if err != nil {
		return failing[*Hub](&Error{Op: op, Err: err})
	}
	rows := walk(ctx, c, list[*Hub]{
		op: op, path: "hubs", terms: query, size: c.pageSize,
		decode: decodeHub, row: func(h *Hub) paging.Row { return paging.Row{ID: h.ID, Key: paging.NoKey} },
	})
	return matching(c, op, rows, func(h *Hub) (id, reason string) {
		if instanceID == "" || strings.EqualFold(h.InstanceID, instanceID) {
			return h.ID, ""
		}
		return h.ID, field("instance", h.InstanceID)
	})
}

// Hub reads one hub, "HB-…". The error matches [ErrNotFound] if it does not exist.
func (c *Client) Hub(ctx context.Context, id string) (*Hub, error) {
	return object(ctx, c, "read hub", "hubs", id, decodeHub)
}
