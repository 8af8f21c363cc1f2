package connecttest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// request is a stored fulfillment request.
type request struct {
	id       string
	kind     connect.RequestType
	status   connect.RequestStatus
	reason   string
	note     string
	created  time.Time
	updated  time.Time
	answered time.Time // when it became final
	planned  time.Time // when a scheduled one becomes pending
	items    []item
	asset    *asset
	before   string // the asset's status before this request
	seq      int    // order of creation
	moves    int    // how often its status has changed
}

// asset is a stored subscription.
type asset struct {
	id          string
	status      string
	externalID  string
	externalUID string
	product     reference
	environment string // the type of its connection
	marketplace reference
	contract    reference
	tiers       map[string]tier
	params      []param
	items       []item
	created     time.Time
	updated     time.Time
	requests    []*request // in order of creation
}

type reference struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type tier struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	ExternalID  text   `json:"external_id"`
	ExternalUID text   `json:"external_uid"`
}

type param struct {
	ID    string `json:"id"`
	Value text   `json:"value"`
}

// item is an ordered item. Quantities are text, since they may be "unlimited".
type item struct {
	ID          string `json:"id"`
	MPN         string `json:"mpn,omitempty"`
	Quantity    text   `json:"quantity"`
	OldQuantity text   `json:"old_quantity"`
}

// text is a string that callers may send as a number or null.
type text string

// UnmarshalJSON reads a string, a number or null.
func (t *text) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*t = ""
		return nil
	}
	var s string
	if data[0] == '"' {
		err := json.Unmarshal(data, &s)
		*t = text(s)
		return err
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("want a string or a number, not %.20s", data)
	}
	*t = text(n)
	return nil
}

// store holds requests and assets. The System's lock guards it.
type store struct {
	seed         uint64
	requests     map[string]*request
	inOrder      []*request // in order of creation
	assets       map[string]*asset
	assetsIn     []*asset            // in order of creation
	byUID        map[string][]*asset // one each
	byExternalID map[string][]*asset // one for each product that the subscription has
}

func newStore(seed uint64) store {
	return store{
		seed:         seed,
		requests:     map[string]*request{},
		assets:       map[string]*asset{},
		byUID:        map[string][]*asset{},
		byExternalID: map[string][]*asset{},
	}
}

// addAsset stores an asset under a new id. The id depends on the seed and the
// external_uid only, so that it does not depend on the order of concurrent calls.
func (st *store) addAsset(a *asset) {
	for try := 0; a.id == "" || st.assets[a.id] != nil; try++ {
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%d/%s/%d", st.seed, a.externalUID, try) // a hash never returns an error
		n := h.Sum64() % 1e12
		a.id = fmt.Sprintf("AS-%04d-%04d-%04d", n/1e8, n/1e4%1e4, n%1e4)
	}
	st.assets[a.id] = a
	st.assetsIn = append(st.assetsIn, a)
	st.byUID[a.externalUID] = append(st.byUID[a.externalUID], a)
	st.byExternalID[a.externalID] = append(st.byExternalID[a.externalID], a)
}

// withUID returns the asset of an external_uid; nil if there is none.
func (st *store) withUID(uid string) *asset {
	if found := st.byUID[uid]; len(found) > 0 {
		return found[0]
	}
	return nil
}

// addRequest stores a request under a new id.
func (st *store) addRequest(r *request) {
	a := r.asset
	r.id = fmt.Sprintf("PR-%s-%03d", a.id[len("AS-"):], len(a.requests)+1)
	r.seq = len(st.inOrder)
	a.requests = append(a.requests, r)
	st.requests[r.id] = r
	st.inOrder = append(st.inOrder, r)
}

// latest returns the latest request of a type, or of any type for ""; nil if there is none.
func (a *asset) latest(kind connect.RequestType) *request {
	for i := len(a.requests) - 1; i >= 0; i-- {
		if kind == "" || a.requests[i].kind == kind {
			return a.requests[i]
		}
	}
	return nil
}

// open returns the latest request that is not final; nil if there is none.
func (a *asset) open() *request {
	for i := len(a.requests) - 1; i >= 0; i-- {
		if !a.requests[i].status.Final() {
			return a.requests[i]
		}
	}
	return nil
}

// failedInRow counts the latest consecutive requests of a type that failed.
func (a *asset) failedInRow(kind connect.RequestType) int {
	n := 0
	for i := len(a.requests) - 1; i >= 0; i-- {
		r := a.requests[i]
		if r.kind != kind {
			continue
		}
		if r.status != connect.StatusFailed {
			break
		}
		n++
	}
	return n
}
