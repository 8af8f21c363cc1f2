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
	"net/http"
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
// reads all requests of its keys of that type, which FailedInRow needs. It is one call if Connect
// says how many there are and they fit into a page, see [WithPageSize]; otherwise further calls
// prove the end. The first look-up makes one more, to see how many rows Connect puts into a page.
//
// If Connect rejects a look-up (400, 413, 414 or 431), or returns a request that may belong to
// any of the keys, because it is unreadable or has no known type, status or asset, the keys are
// looked up again in halves, with at most 50 more calls; keys whose look-up fails still are
// unknown. After three consecutive look-ups failed because Connect is unavailable or refuses all
// of their keys, the remaining keys are not looked up.
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
			l := &lookUp{client: c, again: maxAgain, found: make(map[RequestKey][]LatestRequest, len(chunk))}
			answers[i] = l
			l.run(ctx, chunk)
			refusals.count(l)
			return nil // one look-up that fails does not stop the others
		})
	}
	_ = group.Wait()
	var unasked []RequestKey
	for i, chunk := range chunks {
		if answers[i] == nil {
			unasked = append(unasked, chunk...)
			continue
		}
		maps.Copy(found, answers[i].found)
		causes = append(causes, answers[i].failures...)
	}
	if len(causes) > 0 {
		return found, newLookUpError(causes, unasked, len(found))
	}
	return found, nil
}

// maxRefusals is how many consecutive look-ups may be refused before the rest is skipped: what is
// down or forbidden for one is so for all.
const maxRefusals = 3

// refusals counts consecutive look-ups that were refused.
type refusals struct{ inRow atomic.Int32 }

func (r *refusals) tooMany() bool { return r.inRow.Load() >= maxRefusals }

func (r *refusals) count(l *lookUp) {
	switch {
	case l.refused():
		r.inRow.Add(1)
	case !r.tooMany():
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
	values := make([]string, 0, len(keys))
	for _, key := range keys {
		values = append(values, key.id())
		if lower := text.ID(key.id()); lower != key.id() {
			values = append(values, lower) // the server may compare letter case
		}
	}
	return anyOf(property, values)
}

// id returns the tenant or the subscription; one of them is empty.
func (k RequestKey) id() string { return k.TenantID + k.SubscriptionID }

// owns reports whether a request of any type belongs to the tenant or subscription of the
// key.
func (k RequestKey) owns(r *Request) bool {
	return text.ID(strings.TrimSpace(k.id())) == text.ID(k.owner(r))
}

// resembles reports whether a request belongs to an id that differs from the key only in letter
// case: some systems take it for the same.
func (k RequestKey) resembles(r *Request) bool {
	return !k.owns(r) && strings.EqualFold(strings.TrimSpace(k.id()), k.owner(r))
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

const (
	// maxAgain limits the look-ups in halves: enough to find four keys of fifty.
	maxAgain = 50
	// maxRejected is how many look-ups of one chunk may be rejected in a row: enough to reach the
	// first two keys of fifty in halves. If all of these are rejected, the keys are not the reason.
	maxRejected = 8
)

// lookUp looks up the keys of one chunk.
type lookUp struct {
	client   *Client
	again    int // look-ups in halves that are left
	rejected int // consecutive look-ups that were rejected
	found    map[RequestKey][]LatestRequest
	failures []keyFailure
}

// run looks up keys, in halves if that helps.
func (l *lookUp) run(ctx context.Context, keys []RequestKey) {
	err := callback.Do(func() error { return l.once(ctx, keys) }) // the user's Auth may panic
	switch {
	case err == nil:
		l.rejected = 0
	case l.splits(err) && len(keys) > 1 && ctx.Err() == nil:
		half := len(keys) / 2
		l.run(ctx, keys[:half])
		l.run(ctx, keys[half:])
	default:
		l.failures = append(l.failures, keyFailure{keys: keys, err: named(keys, err)})
	}
}

// splits reports whether fewer keys may be answered after an error, and counts the look-ups.
func (l *lookUp) splits(err error) bool {
	var stray *strayError
	switch {
	case errors.Is(err, errTooLong):
		return true // nothing was sent
	case rejected(err):
		if l.rejected++; l.rejected > maxRejected {
			return false
		}
	case !errors.As(err, &stray):
		return false
	}
	l.again -= 2
	return l.again >= 0
}

// refused reports whether all keys are unknown for a reason that concerns other keys, too.
func (l *lookUp) refused() bool {
	if len(l.found) > 0 || len(l.failures) == 0 {
		return false
	}
	err := l.failures[0].err
	return rejected(err) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrForbidden) ||
		errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrRateLimited)
}

// rejected reports whether the server did not accept a request as it is: one key may be invalid,
// or the URL too long.
func rejected(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.HTTPStatus {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusRequestHeaderFieldsTooLarge:
		return true
	default:
		return false
	}
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
		projection("ordering", "created"),
	})
	if err != nil {
		return &Error{Op: lookUpOp, Err: err}
	}
	histories := make(map[RequestKey]map[string][]*Request, len(keys))
	bad := make(map[RequestKey]error)
	for row, err := range walk(ctx, l.client, l.client.lookUpList(query)) {
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

// lookUpList is a list of requests, oldest first: those that appear meanwhile do not move others
// out of an answer whose length the server decided on before.
func (c *Client) lookUpList(query string) list[lookedUp] {
	return list[lookedUp]{
		op: lookUpOp, path: "requests", terms: query, size: c.pageSize, decode: decodeLookedUp, full: c.full,
		row: func(l lookedUp) paging.Row {
			if l.request == nil {
				sum := sha256.Sum256(l.raw)
				return paging.Row{ID: "unreadable:" + hex.EncodeToString(sum[:]), Nameless: true, Key: paging.NoKey}
			}
			return paging.Row{ID: l.request.ID, Key: paging.TimeKey(l.request.Created, false)}
		},
	}
}

// pageSize is what is known about the pages of requests.
type pageSize struct {
	most  int // rows of the largest page that was seen
	asked int // rows of the page for which a larger one was asked for
}

// full returns the most rows that Connect was seen to put into a page of requests, given one with
// some rows. If it was not larger, it reads a page without conditions, because Connect silently
// reduces a limit that is too large (connect/WIRE.md#4). Few requests prove little, so it tries
// again for a page of twice the rows.
func (c *Client) full(ctx context.Context, rows int) int {
	var known pageSize
	select {
	case known = <-c.fullPage:
	case <-ctx.Done():
		return 0
	}
	defer func() { c.fullPage <- known }()
	if rows >= known.most && rows >= 2*known.asked && rows > 0 {
		known.asked = rows
		known.most = max(known.most, c.anyPage(ctx))
	}
	known.most = max(known.most, rows)
	return known.most
}

// anyPage returns the number of rows of a page without conditions; 0 if it cannot be read, so that
// each list has to prove its end.
func (c *Client) anyPage(ctx context.Context) int {
	query, err := encode([]rql.Expr{projection("select", leftOut...)})
	if err != nil {
		return 0
	}
	if query, err = withSlice(query, c.pageSize, 0); err != nil {
		return 0
	}
	rows, _, _ := c.rows(ctx, lookUpOp, "requests", query)
	return len(rows)
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
	owned := slices.ContainsFunc(keys, func(k RequestKey) bool { return k.owns(r) })
	for _, key := range keys {
		if !owned && key.resembles(r) {
			bad[key] = &Error{Op: lookUpOp, Err: &flawError{fmt.Sprintf(
				"%s: request %s belongs to %q, which differs only in letter case", key.name(), r.ID, key.owner(r))}}
		}
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
	text    string
	causes  []error
	reasons map[RequestKey]error
}

// newLookUpError returns the error for keys that failed and keys that were not asked for; total is
// the number of keys that were answered.
func newLookUpError(failures []keyFailure, unasked []RequestKey, total int) *lookUpError {
	e := &lookUpError{reasons: make(map[RequestKey]error)}
	for _, failed := range failures {
		e.causes = append(e.causes, failed.err)
		for _, key := range failed.keys {
			e.reasons[key] = failed.err
		}
	}
	last := e.causes[len(e.causes)-1]
	for _, key := range unasked {
		e.reasons[key] = fmt.Errorf("%w (not asked for, since %d look-ups in a row were refused)", last, maxRefusals)
	}
	line := fmt.Sprintf("connect: "+lookUpOp+": %d of %d keys are unknown: %s", len(e.reasons), len(e.reasons)+total,
		strings.TrimPrefix(e.causes[0].Error(), "connect: "+lookUpOp+": "))
	if more := len(e.causes) - 1; more > 0 {
		line += fmt.Sprintf("; and %d more failed look-ups", more)
	}
	if n := len(unasked); n > 0 {
		line += fmt.Sprintf("; %d keys were not asked for, since %d look-ups in a row were refused", n, maxRefusals)
	}
	e.text = text.OneLine(line)
	return e
}

func (e *lookUpError) Error() string { return e.text }

// KeyError returns why a key is unknown, or nil if it is known or was not requested.
func (e *lookUpError) KeyError(key RequestKey) error { return e.reasons[key] }

// Unwrap returns the causes.
func (e *lookUpError) Unwrap() []error { return e.causes }
