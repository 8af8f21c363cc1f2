package connecttest

import (
	"cmp"
	"strings"
	"time"
)

// Defaults of a [Config].
const (
	// DefaultKey is the API key that the System accepts unless Config.Key is set.
	DefaultKey = "SU-000-000-000:connecttest"
	// DefaultVersion is the value of the header Connect-Version.
	DefaultVersion = "26.0.12-test"
	// DefaultHubID is the id of the only hub.
	DefaultHubID = "HB-0000-0001"
	// DefaultInstanceID is the UUID of the Commerce behind that hub.
	DefaultInstanceID = "0c0ffee0-0000-4000-8000-000000000001"
)

// basePath is where the API begins, as on the real host.
const basePath = "/public/v1"

// Config configures a [System]. Its zero value is valid: a Connect whose vendors
// approve at once.
type Config struct {
	// Key is the API key that callers must send, with or without the prefix "ApiKey ",
	// which is required on the wire. "" means [DefaultKey].
	Key string
	// Version is sent as Connect-Version; "" means [DefaultVersion].
	Version string
	// Now is the clock; nil means [time.Now]. It must not call the System.
	Now func() time.Time
	// Seed varies the ids of assets. Equal seeds and external_uids result in equal ids,
	// in whatever order concurrent calls arrive.
	Seed uint64

	// Vendor returns what the vendor does with a request that has become pending. It is
	// called once each time, with the System locked, and must not call it. Nil means
	// approval after Delay.
	Vendor func(PendingRequest) VendorAnswer
	// Delay is how long the default vendor takes. With 0, a request is pending in the
	// answer that creates it and approved in the next one.
	Delay time.Duration

	// HubID and InstanceID identify the only hub; "" means [DefaultHubID] and
	// [DefaultInstanceID].
	HubID      string
	InstanceID string

	// MaxPageSize is the largest page: larger limits are reduced silently, as in Connect. 0
	// means 1000 (inferred, connect/WIRE.md#4).
	MaxPageSize int
	// RejectUnknownFields answers 400 to a condition on a field that is not documented as a filter.
	// By default such a condition is ignored and selects everything, as in Connect (inferred,
	// connect/WIRE.md#14.3).
	RejectUnknownFields bool
	// ShuffleTies returns requests that were created at the same time in another order
	// on each call, as a database does that sorts by that time alone. Further sort keys
	// are ignored then; without ordering, all rows are ties.
	ShuffleTies bool
}

func (c Config) withDefaults() Config {
	c.Key = strings.TrimPrefix(cmp.Or(c.Key, DefaultKey), "ApiKey ")
	c.Version = cmp.Or(c.Version, DefaultVersion)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Vendor == nil {
		delay := c.Delay
		c.Vendor = func(PendingRequest) VendorAnswer { return VendorAnswer{Action: VendorApprove, After: delay} }
	}
	c.HubID = cmp.Or(c.HubID, DefaultHubID)
	c.InstanceID = cmp.Or(c.InstanceID, DefaultInstanceID)
	if c.MaxPageSize <= 0 {
		c.MaxPageSize = 1000
	}
	return c
}
