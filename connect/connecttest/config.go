package connecttest

import (
	"strings"
	"time"
)

// Defaults of a [Config].
const (
	// DefaultKey is accepted when Config.Key is empty. It opens nothing but a
	// test system.
	DefaultKey = "SU-000-000-000:connecttest"
	// DefaultVersion is what Connect-Version says.
	DefaultVersion = "26.0.12-test"
	// DefaultHubID is the id of the one hub.
	DefaultHubID = "HB-0000-0001"
	// DefaultInstanceID is the uuid of the Commerce behind that hub.
	DefaultInstanceID = "0c0ffee0-0000-4000-8000-000000000001"
)

// basePath is where the API begins, as on the real host.
const basePath = "/public/v1"

// Config makes a [System]. The zero value is a Connect whose vendors approve at
// once; every field has a default.
type Config struct {
	// Key is the API key that is accepted, with or without the word "ApiKey "
	// before it; on the wire the word is required. Default [DefaultKey].
	Key string
	// Version is sent as Connect-Version. Default [DefaultVersion].
	Version string
	// Now is the clock; it must not call the System. Default [time.Now].
	Now func() time.Time
	// Seed varies the ids of assets. The same seed and external_uid give the
	// same ids, in whatever order concurrent calls come.
	Seed uint64

	// Vendor is asked once whenever a request becomes pending. It is called with
	// the System locked and must not call it. Default: approve after Delay.
	Vendor func(VendorCall) VendorAnswer
	// Delay is how long the default vendor takes. 0: a request is pending in the
	// answer that creates it and approved at the next look.
	Delay time.Duration

	// HubID and InstanceID name the one hub. Default [DefaultHubID] and
	// [DefaultInstanceID].
	HubID      string
	InstanceID string

	// PageMax cuts larger limits silently, as Connect does. Default 1000
	// (inferred, connect/WIRE.md#4).
	PageMax int
	// ShuffleTies makes lists of requests put those that were created at the same time
	// in another order on each request, as a database does that sorts by that time
	// alone. Further keys of ordering are ignored then; without ordering, all rows are ties.
	ShuffleTies bool
}

func (c Config) withDefaults() Config {
	if c.Key == "" {
		c.Key = DefaultKey
	}
	c.Key = strings.TrimPrefix(c.Key, "ApiKey ")
	if c.Version == "" {
		c.Version = DefaultVersion
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Vendor == nil {
		delay := c.Delay
		c.Vendor = func(VendorCall) VendorAnswer { return VendorAnswer{Action: Approve, After: delay} }
	}
	if c.HubID == "" {
		c.HubID = DefaultHubID
	}
	if c.InstanceID == "" {
		c.InstanceID = DefaultInstanceID
	}
	if c.PageMax <= 0 {
		c.PageMax = 1000
	}
	return c
}
