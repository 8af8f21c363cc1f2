package statuspage

import (
	"encoding/json"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// WindowsOf decodes a feed and takes what windows it can.
func WindowsOf(raw json.RawMessage) ([]maintenance.Window, []error, error) {
	list, err := decodeMaintenances(raw)
	if err != nil {
		return nil, nil, err
	}
	n := &notes{source: "test"}
	s := &Source{page: "test", cfg: config{longest: 7 * 24 * time.Hour}}
	return s.windows(list, n), n.warnings, nil
}
