package connect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// looseString is a string that may be sent as a number or null.
type looseString string

// UnmarshalJSON keeps all digits of a number.
func (t *looseString) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		*t = ""
		return nil
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, (*string)(t))
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("%s is neither a string nor a number", text.Excerpt(string(data), 40))
	}
	if err := number.Check(n); err != nil {
		return err
	}
	*t = looseString(n)
	return nil
}

// instant is a time in one of the formats that Connect and its hubs send
// (connect/WIRE.md#1): with an offset, with Z, or without a zone, which means UTC.
type instant time.Time

// UnmarshalJSON reads null and "" as the zero time.
func (i *instant) UnmarshalJSON(data []byte) error {
	if fields.IsNull(data) {
		*i = instant{}
		return nil
	}
	t, _, err := fields.ParseTime(data)
	if err != nil {
		return fmt.Errorf("one of its times %w", err)
	}
	*i = instant(t)
	return nil
}

type wireRequest struct {
	ID      looseString
	Type    RequestType
	Status  RequestStatus
	Reason  string
	Note    string
	Created instant
	Updated instant
	Asset   struct {
		ID          looseString
		Status      string
		ExternalID  looseString `json:"external_id"`
		ExternalUID looseString `json:"external_uid"`
		Product     struct {
			ID   looseString
			Name string
		}
		Connection struct{ Hub struct{ ID looseString } }
	}
}

// decodeRequest decodes one fulfillment request. It ignores unknown fields and requires an id.
func decodeRequest(data []byte) (*Request, error) {
	var w wireRequest
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("the request has no id")
	}
	return &Request{
		ID: string(w.ID), Type: w.Type, Status: w.Status, Reason: w.Reason, Note: w.Note,
		Created: time.Time(w.Created), Updated: time.Time(w.Updated),
		Asset: Asset{
			ID: string(w.Asset.ID), Status: w.Asset.Status,
			ExternalID: string(w.Asset.ExternalID), ExternalUID: string(w.Asset.ExternalUID),
			ProductID: string(w.Asset.Product.ID), ProductName: w.Asset.Product.Name,
			HubID: string(w.Asset.Connection.Hub.ID),
		},
		Raw: bytes.Clone(data),
	}, nil
}

type wireHub struct {
	ID       looseString
	Name     string
	Instance struct {
		ID   looseString
		Type string
	}
	Version          looseString
	ExtensionVersion looseString `json:"extension_version"`
	LastHealthCheck  instant     `json:"last_health_check"`
}

func decodeHub(data []byte) (*Hub, error) {
	var w wireHub
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("the hub has no id")
	}
	return &Hub{
		ID: string(w.ID), Name: w.Name,
		InstanceID: string(w.Instance.ID), InstanceType: w.Instance.Type,
		Version: string(w.Version), ExtensionVersion: string(w.ExtensionVersion),
		LastHealthCheck: time.Time(w.LastHealthCheck),
		Raw:             bytes.Clone(data),
	}, nil
}
