package commercetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

const (
	connectTries    = 3 // the extension's client retries every method (connect/WIRE.md#9)
	maxConnectBody  = 1 << 20
	cancelPause     = 300 * time.Second // before a failed cancel or resume is sent again
	cancelsReported = 5                 // failed cancels in a row that are reported as success
	lookBack        = 10                // requests read to count consecutive failures
	impersonatePath = "/devops/services/SRVC-0000-0000/installations/EIN-0000-0000-0000/impersonate"
)

// connector calls Connect for Commerce, as the Connect extension does
// (commerce/WIRE.md#6). It holds no state.
type connector struct {
	base         string
	key          string
	http         *http.Client
	keepsWaiting bool     // a poll that Connect does not answer fails no order
	texts        []string // of failures because Connect did not answer
}

// job is what the connector needs to know about an order. It is a copy, because the
// order may move during the calls to Connect.
type job struct {
	order    Order
	quantity string
}

func jobOf(rec *record) job {
	return job{order: rec.Order, quantity: strconv.Itoa(rec.seq)}
}

type answerKind int

const (
	answerDone answerKind = iota // 200
	answerWait                   // 202: poll again
	answerFail                   // anything else fails the order
)

// answer is what the connector answers to Operations.
type answer struct {
	kind  answerKind
	text  string // of a failure
	cause Cause  // of a failure
}

// begin is the first call for an order: it creates the request in Connect.
func (c *connector) begin(ctx context.Context, j job, now time.Time) answer {
	if o := &j.order; o.FailWith != "" {
		text := strings.NewReplacer("{subscription}", o.Subscription, "{customer}", o.Customer).Replace(o.FailWith)
		return answer{answerFail, reason(o, text), CauseInjected}
	}
	if err := c.impersonate(ctx); err != nil {
		return c.noAnswer(&j.order)
	}
	switch j.order.RequestType {
	case "":
		return answer{kind: answerDone} // a renewal: the vendor has nothing to do
	case connect.TypeCancel, connect.TypeSuspend, connect.TypeResume:
		return c.beginSimple(ctx, j, now)
	default:
		return c.create(ctx, j)
	}
}

// poll is each later call: it reads the status of the request.
func (c *connector) poll(ctx context.Context, j job) answer {
	if err := c.impersonate(ctx); err != nil {
		if c.keepsWaiting {
			return answer{kind: answerWait}
		}
		return c.noAnswer(&j.order)
	}
	requests, err := c.requests(ctx, j)
	if err != nil {
		return answer{kind: answerWait} // "Waiting vendor to process request"
	}
	return judge(&j.order, requests)
}

// beginSimple creates a cancel, suspend or resume request; after a failed one, only if
// that failure is old enough (commerce/WIRE.md#6.2).
func (c *connector) beginSimple(ctx context.Context, j job, now time.Time) answer {
	requests, err := c.requests(ctx, j)
	if err != nil {
		return c.noAnswer(&j.order)
	}
	if len(requests) == 0 {
		return c.create(ctx, j)
	}
	latest := requests[0]
	switch {
	case latest.Status == connect.StatusFailed &&
		(j.order.RequestType == connect.TypeSuspend || reportedAsDone(&j.order, requests)):
		return answer{kind: answerDone}
	case latest.Status == connect.StatusFailed && now.Sub(latest.failedAt()) > cancelPause,
		j.order.RequestType != connect.TypeCancel && latest.Status == connect.StatusApproved,
		latest.Status == connect.StatusRevoked:
		return c.create(ctx, j)
	default:
		return answer{kind: answerWait} // the next poll reads the result
	}
}

// create posts the request. A conflict with a request in progress counts as success.
func (c *connector) create(ctx context.Context, j job) answer {
	body := newRequest{Type: j.order.RequestType}
	body.Asset.ExternalUID = j.order.Tenant
	if j.order.RequestType == connect.TypePurchase {
		body.Asset.ExternalID = new(j.order.Subscription)
	}
	body.Asset.Product.ID = j.order.Product
	body.Asset.Items = []item{{ID: j.order.Product + "-0001", Quantity: j.quantity}}
	body.Asset.Tiers.Customer = tier{Name: j.order.CustomerName, ExternalID: j.order.Customer}

	var refused refusal
	status, err := c.call(ctx, http.MethodPost, "/requests", body, nil, &refused)
	switch {
	case err != nil:
		return c.noAnswer(&j.order)
	case status < 300:
		return answer{kind: answerWait}
	case status == http.StatusConflict && refused.Params.RequestStatus == connect.StatusFailed:
		return failed(&j.order, "ProvisioningFailed", refused.Params.FailMessage)
	case status == http.StatusConflict && refused.Params.RequestStatus != "":
		return answer{kind: answerWait}
	case status == http.StatusBadRequest && refused.known():
		return failed(&j.order, "ProvisioningFailed", strings.Join(refused.Errors, "; "))
	default:
		return c.noAnswer(&j.order)
	}
}

// judge derives the answer from the latest request.
func judge(o *Order, requests []request) answer {
	if len(requests) == 0 {
		return failed(o, "NotFound", "No request for APS tenant with id "+o.Tenant)
	}
	latest := requests[0]
	switch latest.Status {
	case connect.StatusApproved:
		return answer{kind: answerDone}
	case connect.StatusFailed:
		if o.RequestType == connect.TypeSuspend || reportedAsDone(o, requests) {
			return answer{kind: answerDone}
		}
		return failed(o, "VendorError", rejection(o, latest))
	case connect.StatusRevoking, connect.StatusRevoked:
		return failed(o, "VendorError", "The vendor has accepted revoking request "+latest.ID)
	default:
		return answer{kind: answerWait}
	}
}

// reportedAsDone reports whether the last five cancels failed: the connector then
// reports success (commerce/WIRE.md#6.2).
func reportedAsDone(o *Order, requests []request) bool {
	if o.RequestType != connect.TypeCancel || len(requests) < cancelsReported {
		return false
	}
	for _, r := range requests[:cancelsReported] {
		if r.Status != connect.StatusFailed {
			return false
		}
	}
	return true
}

func rejection(o *Order, r request) string {
	text := fmt.Sprintf("Vendor has failed request %s with following reason: %s", r.ID, r.Reason)
	if o.RequestType == connect.TypePurchase {
		text += ", submitting again this order will fail due previous reason please create a new purchase request"
	}
	return text
}

// The texts that become errorDetails have the form of an APS task's output
// (commerce/WIRE.md#6.3), in one line.

const internalError = "'500 Internal Server Error' received from " +
	"'{method} https://connect-extension.example.com/tenant/{tenant}'"

// noAnswer fails an order because Connect did not answer. The text is one of c.texts,
// selected by the order and the number of its failure.
func (c *connector) noAnswer(o *Order) answer {
	text := internalError
	if len(c.texts) > 0 {
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, o.ID, o.Failures)              // a hash never fails
		text = c.texts[int(h.Sum32()%uint32(len(c.texts)))] //nolint:gosec // a few texts
	}
	if text == "" {
		return answer{kind: answerFail, cause: CauseConnect}
	}
	text = strings.NewReplacer("{method}", verb(o.RequestType), "{tenant}", o.Tenant, "{product}", o.Product).Replace(text)
	text = fmt.Sprintf("Provisioning: resource %s of APS application '%s': %s", o.Tenant, o.Product, text)
	return answer{answerFail, reason(o, text), CauseConnect}
}

func failed(o *Order, errorType, message string) answer {
	text := fmt.Sprintf("[%s] Provisioning: resource %s of APS application '%s': %s",
		errorType, o.Tenant, o.Product, message)
	return answer{answerFail, reason(o, text), CauseVendor}
}

func reason(o *Order, text string) string {
	return fmt.Sprintf("Provisioning of order %s has failed. Reason: %s.", o.Number, strings.TrimSuffix(text, "."))
}

// verb is the HTTP method with which Operations calls the tenant (connect/WIRE.md#8).
func verb(t connect.RequestType) string {
	switch t {
	case connect.TypeChange:
		return http.MethodPut
	case connect.TypeCancel:
		return http.MethodDelete
	default:
		return http.MethodPost
	}
}

// The following types are the wire formats of connect/WIRE.md#2 and connect/WIRE.md#5, as far as the
// connector uses them.

type newRequest struct {
	Type  connect.RequestType `json:"type"`
	Asset struct {
		ExternalID  *string `json:"external_id"` // null in all but purchases, connect/WIRE.md#8
		ExternalUID string  `json:"external_uid"`
		Product     struct {
			ID string `json:"id"`
		} `json:"product"`
		Items []item `json:"items"`
		Tiers struct {
			Customer tier `json:"customer"`
		} `json:"tiers"`
	} `json:"asset"`
}

type item struct {
	ID       string `json:"id"`
	Quantity string `json:"quantity"` // absolute, resubmit/SAFETY.md#f8
}

type tier struct {
	Name       string `json:"name"`
	ExternalID string `json:"external_id"`
}

type request struct {
	ID      string                `json:"id"`
	Status  connect.RequestStatus `json:"status"`
	Reason  string                `json:"reason"`
	Created string                `json:"created"`
	Updated string                `json:"updated"`
}

// failedAt is when the request changed last; zero if it has no time.
func (r request) failedAt() time.Time {
	for _, text := range []string{r.Updated, r.Created} {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

type refusal struct {
	ErrorCode string   `json:"error_code"`
	Errors    []string `json:"errors"`
	Params    struct {
		RequestStatus connect.RequestStatus `json:"request_status"`
		FailMessage   string                `json:"fail_message"`
	} `json:"params"`
}

// known reports whether the extension has its own text for this 400: no listing,
// marketplace, tiers, zero items (commerce/WIRE.md#6.2).
func (r refusal) known() bool {
	all := strings.ToLower(strings.Join(r.Errors, " "))
	for _, word := range []string{"listing", "marketplace", "tier", "item", "quantity"} {
		if strings.Contains(all, word) {
			return true
		}
	}
	return false
}

// impersonate is the call before every other one; it is the one that fails while
// Connect is down (commerce/WIRE.md#6.2).
func (c *connector) impersonate(ctx context.Context) error {
	status, err := c.call(ctx, http.MethodPost, impersonatePath, struct{}{}, nil, nil)
	if err != nil {
		return err
	}
	if status >= 300 {
		return fmt.Errorf("impersonate: HTTP %d", status)
	}
	return nil
}

// requests returns the requests of the order's tenant and type, latest first.
func (c *connector) requests(ctx context.Context, j job) ([]request, error) {
	path := "/requests?select(-asset.configuration)&and(eq(asset.external_uid," + j.order.Tenant +
		"),eq(type," + string(j.order.RequestType) +
		"),in(status,(failed,pending,approved,inquiring,tiers_setup,scheduled,revoking,revoked)))" +
		"&ordering(-created)&limit=" + strconv.Itoa(lookBack) + "&offset=0"
	var found []request
	status, err := c.call(ctx, http.MethodGet, path, nil, &found, nil)
	if err != nil {
		return nil, err
	}
	if status >= 300 {
		return nil, fmt.Errorf("look up the request: HTTP %d", status)
	}
	return found, nil
}

// call sends a request, and repeats it if Connect does not answer or answers 5xx. It
// decodes a 2xx answer into out and any other into refused; either may be nil.
func (c *connector) call(ctx context.Context, method, path string, body, out, refused any) (status int, err error) {
	for range connectTries {
		status, err = c.once(ctx, method, path, body, out, refused)
		if err == nil && status < http.StatusInternalServerError {
			return status, err
		}
	}
	return status, err
}

func (c *connector) once(ctx context.Context, method, path string, body, out, refused any) (int, error) {
	if c.base == "" {
		return 0, fmt.Errorf("no Connect is configured")
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Authorization", "ApiKey "+strings.TrimPrefix(c.key, "ApiKey "))
	}
	res, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(res.Body, maxConnectBody))
	if err != nil {
		return 0, err
	}
	if res.StatusCode >= 300 {
		if refused != nil {
			_ = json.Unmarshal(data, refused) // a body that is not JSON leaves it empty
		}
		return res.StatusCode, nil
	}
	if out == nil {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return 0, fmt.Errorf("decode the answer of Connect: %w", err)
	}
	return res.StatusCode, nil
}
