package connect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxChunk is the maximum number of keys of one look-up: the URL stays below 4 KiB.
const maxChunk = 50

const lookUpOp = "newest requests"

// leftOut lists the parts of a request that a look-up omits, since they make it slow
// (connect/WIRE.md#2.3).
var leftOut = []string{
	"-activation_key", "-template", "-asset.items", "-asset.params", "-asset.tiers", "-asset.configuration",
}

// LatestRequest returns the latest request, except drafts, that a [RequestKey] selects, and whether
// there is one.
// If several assets match it is the latest of all; [Client.LatestRequests] returns each.
func (c *Client) LatestRequest(ctx context.Context, key RequestKey) (LatestRequest, bool, error) {
	found, err := c.LatestRequests(ctx, []RequestKey{key})
	if err != nil || len(found[key]) == 0 {
		return LatestRequest{}, false, err
	}
	return found[key][0], true, nil
}

// LatestRequests returns, for each key, the latest request of each asset that the key selects,
// except drafts, latest first. A key in the result without elements has no request. A key that is
// not in the result is unknown, and the error says why: some keys can fail while others
// succeed. The error matches the sentinels of all its causes; its method
// KeyError(RequestKey) error returns the cause for a key, or nil. Requests come without
// items, parameters, tiers and configuration; use [Client.Request] for these.
//
// Keys of one type are looked up together, see [WithChunkSize] and [WithConcurrency]. A look-up
// reads all requests of its keys of that type, which FailedInRow needs. If Connect returns a
// request that may belong to any of the keys, because it is unreadable or has no known type,
// status or asset, the keys are looked up again in halves; keys whose look-up still has such
// a request are unknown. After three consecutive look-ups failed as unavailable, forbidden,
// unauthorized or rate limited, the remaining keys are not looked up.
func (c *Client) LatestRequests(ctx context.Context, keys []RequestKey) (map[RequestKey][]LatestRequest, error) {
	found := make(map[RequestKey][]LatestRequest, len(keys))
	chunks, causes := c.chunks(keys)
	answers := make([]*lookUp, len(chunks)) // nil: not asked for
	var refusals refusals
	var group errgroup.Group
	group.SetLimit(c.concurrency)
	for i, chunk := range chunks {
		group.Go(func() error {
			if refusals.tooMany() {
				return nil
			}
			answers[i] = &lookUp{client: c, again: maxAgain, found: make(map[RequestKey][]LatestRequest, len(chunk))}
			refusals.count(answers[i].run(ctx, chunk))
			return nil // one look-up that fails does not stop the others
		})
	}
	_ = group.Wait()
	unasked := 0
	for i, chunk := range chunks {
		if answers[i] == nil {
			unasked += len(chunk)
			continue
		}
		maps.Copy(found, answers[i].found)
		causes = append(causes, answers[i].failures...)
	}
	if len(causes) > 0 {
		return found, &lookUpError{causes: causes, unasked: unasked, total: len(found)}
	}
	return found, nil
}

// maxRefusals is how many consecutive look-ups may fail before the rest is skipped: what is
// down or forbidden for one is so for all.
const maxRefusals = 3

// refusals counts consecutive failed look-ups.
type refusals struct{ inRow atomic.Int32 }

func (r *refusals) tooMany() bool { return r.inRow.Load() >= maxRefusals }

func (r *refusals) count(err error) {
	for _, refusal := range []error{ErrUnavailable, ErrForbidden, ErrUnauthorized, ErrRateLimited} {
		if errors.Is(err, refusal) {
			r.inRow.Add(1)
			return
		}
	}
	if !r.tooMany() {
		r.inRow.Store(0)
	}
}

// chunks groups the keys into look-ups and separates invalid keys.
func (c *Client) chunks(keys []RequestKey) (chunks [][]RequestKey, bad []keyFailure) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b RequestKey) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), strings.Compare(a.TenantID, b.TenantID),
			strings.Compare(a.SubscriptionID, b.SubscriptionID))
	})
	var open []RequestKey
	for _, key := range slices.Compact(keys) {
		if err := key.check(); err != nil {
			bad = append(bad, keyFailure{keys: []RequestKey{key},
				err: &Error{Op: lookUpOp, Err: fmt.Errorf("key %+v: %w", key, err)}})
			continue
		}
		if len(open) == c.chunkSize || len(open) > 0 && !open[0].goesWith(key) {
			chunks, open = append(chunks, open), nil
		}
		open = append(open, key)
	}
	if len(open) > 0 {
		chunks = append(chunks, open)
	}
	return chunks, bad
}

func (k RequestKey) check() error {
	if k.Type == "" {
		return errors.New("the type is empty")
	}
	if (k.TenantID == "") == (k.SubscriptionID == "") {
		return errors.New("exactly one of TenantID and SubscriptionID must be set")
	}
	for _, v := range []string{k.TenantID + k.SubscriptionID, string(k.Type)} {
		if err := checkValue(v); err != nil {
			return fmt.Errorf("%q %w", v, err)
		}
	}
	_, err := rql.Format(rql.Connect, "&", k.term([]RequestKey{k}), anyOf("type", []string{string(k.Type)}))
	return err
}

func (k RequestKey) goesWith(other RequestKey) bool {
	return k.Type == other.Type && (k.TenantID == "") == (other.TenantID == "")
}

// term returns the condition for the keys, which have the type and the field of k.
func (k RequestKey) term(keys []RequestKey) rql.Expr {
	property := "asset.external_uid"
	if k.TenantID == "" {
		property = "asset.external_id"
	}
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = key.TenantID + key.SubscriptionID // one of them is empty
	}
	return anyOf(property, values)
}

// owns reports whether a request of any type belongs to the tenant or subscription of the
// key. Tenants are UUIDs, compared without case.
func (k RequestKey) owns(r *Request) bool {
	if k.TenantID != "" {
		return strings.EqualFold(strings.TrimSpace(k.TenantID), k.owner(r))
	}
	return strings.TrimSpace(k.SubscriptionID) == k.owner(r)
}

// owner returns the tenant or subscription of a request, as the key needs it; "" if unknown.
func (k RequestKey) owner(r *Request) string {
	if k.TenantID != "" {
		return strings.TrimSpace(r.Asset.ExternalUID)
	}
	return strings.TrimSpace(r.Asset.ExternalID)
}

// name returns the key for errors.
func (k RequestKey) name() string {
	if k.TenantID != "" {
		return "tenant " + text.Clip(k.TenantID, 60)
	}
	return "subscription " + text.Clip(k.SubscriptionID, 60)
}

// maxAgain limits the look-ups in halves: enough to find four keys of fifty.
const maxAgain = 40

// lookUp looks up the keys of one chunk.
type lookUp struct {
	client   *Client
	again    int // look-ups in halves that are left
	found    map[RequestKey][]LatestRequest
	failures []keyFailure
}

// run looks up keys, in halves if that helps. It returns the error of the first look-up.
func (l *lookUp) run(ctx context.Context, keys []RequestKey) error {
	err := callback.Do(func() error { return l.once(ctx, keys) }) // the user's Auth may panic
	var stray *strayError
	long := errors.Is(err, errTooLong)
	switch {
	case err == nil:
	case len(keys) > 1 && (long || errors.As(err, &stray) && l.again >= 2 && ctx.Err() == nil):
		if !long {
			l.again -= 2
		}
		half := len(keys) / 2
		first, second := l.run(ctx, keys[:half]), l.run(ctx, keys[half:])
		if long && first != nil {
			return first
		} else if long {
			return second
		}
	default:
		l.failures = append(l.failures, keyFailure{keys: keys, err: named(keys, err)})
	}
	return err
}

// named adds the keys to the error of a request that may belong to any of them.
func named(keys []RequestKey, err error) error {
	var stray *strayError
	if !errors.As(err, &stray) {
		return err
	}
	names := make([]string, 0, maxNamed)
	for _, key := range keys[:min(len(keys), maxNamed)] {
		names = append(names, key.name())
	}
	text := strings.Join(names, ", ")
	if more := len(keys) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return &Error{Op: lookUpOp, Err: fmt.Errorf("%s: %w", text, stray)}
}

// maxNamed limits the keys that an error names.
const maxNamed = 5

// once looks up keys, for requests in every status, including unknown ones.
func (l *lookUp) once(ctx context.Context, keys []RequestKey) error {
	query, err := encode([]rql.Expr{
		projection("select", leftOut...),
		keys[0].term(keys),
		anyOf("type", []string{string(keys[0].Type)}),
		projection("ordering", "-created"),
	})
	if err != nil {
		return &Error{Op: lookUpOp, Err: err}
	}
	histories := make(map[RequestKey]map[string][]*Request, len(keys))
	bad := make(map[RequestKey]error)
	for row, err := range walk(ctx, l.client, lookUpList(query, l.client.pageSize)) {
		if err != nil {
			return err
		}
		if why := row.stray(keys[0]); why != "" {
			return &strayError{why: why}
		}
		file(histories, bad, keys, row)
	}
	for _, key := range keys {
		if bad[key] != nil {
			l.failures = append(l.failures, keyFailure{keys: []RequestKey{key}, err: bad[key]})
			continue
		}
		l.found[key] = newestOf(histories[key])
	}
	return nil
}

// strayError is a request in an answer that may belong to any of the keys.
type strayError struct{ why string }

func (e *strayError) Error() string { return "Connect returned " + e.why }

// Is matches ErrAmbiguousRequest.
func (e *strayError) Is(target error) bool { return target == ErrAmbiguousRequest }

// flawError is a request of a key that cannot be used.
type flawError struct{ text string }

func (e *flawError) Error() string { return e.text }

// Is matches ErrAmbiguousRequest.
func (e *flawError) Is(target error) bool { return target == ErrAmbiguousRequest }

// lookedUp is one row of a look-up.
type lookedUp struct {
	request *Request // nil: nothing of it can be read
	err     error    // why not all of it can be read
	raw     []byte
}

func decodeLookedUp(data []byte) (lookedUp, error) {
	r, err := decodeRequest(data)
	if err == nil {
		return lookedUp{request: r, raw: data}, nil
	}
	var part struct { // the fields that say whose it is
		ID    looseString
		Type  RequestType
		Asset struct {
			ExternalID  looseString `json:"external_id"`
			ExternalUID looseString `json:"external_uid"`
		}
	}
	if json.Unmarshal(data, &part) == nil && part.ID != "" {
		r = &Request{ID: string(part.ID), Type: part.Type}
		r.Asset.ExternalID, r.Asset.ExternalUID = string(part.Asset.ExternalID), string(part.Asset.ExternalUID)
	}
	return lookedUp{request: r, err: err, raw: data}, nil
}

func lookUpList(query string, size int) list[lookedUp] {
	return list[lookedUp]{
		op: lookUpOp, path: "requests", terms: query, size: size, decode: decodeLookedUp,
		row: func(l lookedUp) paging.Row {
			if l.request == nil {
				sum := sha256.Sum256(l.raw)
				return paging.Row{ID: "unreadable:" + hex.EncodeToString(sum[:]), Nameless: true, Key: paging.NoKey}
			}
			return paging.Row{ID: l.request.ID, Key: paging.TimeKey(l.request.Created, true)}
		},
	}
}

// stray returns why a row may belong to any of the keys, or "" if its owner is known. Rows of
// others are expected: Connect ignores conditions that it does not know.
func (l lookedUp) stray(key RequestKey) string {
	r := l.request
	switch {
	case r == nil:
		return fmt.Sprintf("a request that cannot be read (%v)", l.err)
	case key.owner(r) != "", r.Type != key.Type && r.Type.known():
		return ""
	default:
		return fmt.Sprintf("the request %q of type %q, which does not say what it belongs to",
			text.Clip(r.ID, 60), text.Clip(string(r.Type), 40))
	}
}

// flaw returns why a request of a key cannot be used, or "".
func (l lookedUp) flaw(key RequestKey) string {
	r := l.request
	switch {
	case l.err != nil:
		return fmt.Sprintf("cannot be read: %v", l.err)
	case r.Type != key.Type:
		return fmt.Sprintf("has the unknown type %q", text.Clip(string(r.Type), 40))
	case !r.Status.known():
		return fmt.Sprintf("has the unknown status %q", text.Clip(string(r.Status), 40))
	case r.Asset.ID == "" || r.Created.IsZero():
		return "has no asset.id or no created: which is the newest cannot be told"
	default:
		return ""
	}
}

func projection(op string, fields ...string) rql.Expr {
	args := make([]rql.Arg, len(fields))
	for i, f := range fields {
		args[i] = rql.Val(f)
	}
	return rql.Call(op, args...)
}

// file adds a request to the history of its key and asset, or records why it cannot.
func file(histories map[RequestKey]map[string][]*Request, bad map[RequestKey]error, keys []RequestKey, l lookedUp) {
	r := l.request
	if r.Type != keys[0].Type && r.Type.known() || r.Status == StatusDraft && l.err == nil {
		return
	}
	for _, key := range keys {
		if !key.owns(r) {
			continue
		}
		if flaw := l.flaw(key); flaw != "" {
			bad[key] = &Error{Op: lookUpOp, Err: &flawError{fmt.Sprintf("%s: request %s %s", key.name(), r.ID, flaw)}}
			continue
		}
		if histories[key] == nil {
			histories[key] = make(map[string][]*Request)
		}
		histories[key][r.Asset.ID] = append(histories[key][r.Asset.ID], r)
	}
}

// newestOf returns the latest request of each history, latest first.
func newestOf(assets map[string][]*Request) []LatestRequest {
	found := make([]LatestRequest, 0, len(assets))
	for _, history := range assets {
		slices.SortFunc(history, newerFirst)
		failed := slices.IndexFunc(history, func(r *Request) bool { return r.Status != StatusFailed })
		if failed < 0 {
			failed = len(history)
		}
		found = append(found, LatestRequest{Request: *history[0], FailedInRow: failed})
	}
	slices.SortFunc(found, func(a, b LatestRequest) int { return newerFirst(&a.Request, &b.Request) })
	return found
}

// newerFirst compares by creation, then by id, whose last group is a running number
// (inferred, connect/WIRE.md#1).
func newerFirst(a, b *Request) int {
	return -cmp.Or(
		a.Created.Compare(b.Created),
		cmp.Compare(len(a.ID), len(b.ID)),
		strings.Compare(a.ID, b.ID),
	)
}

type keyFailure struct {
	keys []RequestKey
	err  error
}

// lookUpError is the error of LatestRequests, on one line.
type lookUpError struct {
	causes  []keyFailure
	unasked int // keys that were left
	total   int // keys that were answered
}

func (e *lookUpError) Error() string {
	unknown := e.unasked
	for _, cause := range e.causes {
		unknown += len(cause.keys)
	}
	line := fmt.Sprintf("connect: "+lookUpOp+": %d of %d keys are unknown: %s", unknown, unknown+e.total,
		strings.TrimPrefix(e.causes[0].err.Error(), "connect: "+lookUpOp+": "))
	if more := len(e.causes) - 1; more > 0 {
		line += fmt.Sprintf("; and %d more failed look-ups", more)
	}
	if e.unasked > 0 {
		line += fmt.Sprintf("; %d keys were not asked for, since %d look-ups in a row were refused", e.unasked, maxRefusals)
	}
	return text.OneLine(line)
}

// KeyError returns why a key is unknown, or nil if it is known or was not requested.
func (e *lookUpError) KeyError(key RequestKey) error {
	for _, cause := range e.causes {
		if slices.Contains(cause.keys, key) {
			return cause.err
		}
	}
	return nil
}

// Unwrap returns the causes.
func (e *lookUpError) Unwrap() []error {
	errs := make([]error, len(e.causes))
	for i, cause := range e.causes {
		errs[i] = cause.err
	}
	return errs
}
