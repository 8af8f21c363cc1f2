package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/wording"
)

// maxChunk is how many keys one look-up asks for at most: the URL stays below 4 KiB.
const maxChunk = 50

const lookUpOp = "newest requests"

// lookedFor are the statuses that the connector itself follows an order by
// (facts/connect.md 3): all but draft, which nobody has sent yet.
var lookedFor = []RequestStatus{
	StatusFailed, StatusPending, StatusApproved, StatusInquiring,
	StatusTiersSetup, StatusScheduled, StatusRevoking, StatusRevoked,
}

// leftOut are the parts of a request that a look-up does without: they make it
// slow (facts/connect.md 2.3).
var leftOut = []string{
	"-activation_key", "-template", "-asset.items", "-asset.params", "-asset.tiers", "-asset.configuration",
}

// NewestRequest returns the newest request of a key, drafts apart, and whether
// there is one. Of several assets, the one with the newest request answers; use
// [Client.NewestRequests] to see them all.
func (c *Client) NewestRequest(ctx context.Context, key RequestKey) (Newest, bool, error) {
	found, err := c.NewestRequests(ctx, []RequestKey{key})
	if err != nil || len(found[key]) == 0 {
		return Newest{}, false, err
	}
	return found[key][0], true, nil
}

// NewestRequests returns, for each key, the newest request of every asset that
// has one, drafts apart, the newest first. A key in the result without elements
// has no request. A key that is not in the result is unknown, and the error says
// why: some keys can fail while others are answered. The error matches the
// sentinels of all its causes. To be fast, the requests are asked for without
// items, parameters, tiers and configuration; [Client.Request] has them.
//
// Keys of one type are asked for together, up to 50 in one look-up, a few
// look-ups at once. A look-up reads the whole history of its keys for that type,
// since only so FailedInRow is right: cost grows with the number of requests
// that the assets have had, and a request that cannot be read fails the keys of
// its look-up. Once three look-ups in a row were refused, as unavailable,
// forbidden, unauthorized or too fast, the keys that are left are not asked for.
func (c *Client) NewestRequests(ctx context.Context, keys []RequestKey) (map[RequestKey][]Newest, error) {
	found := make(map[RequestKey][]Newest, len(keys))
	chunks, causes := c.chunks(keys)
	answers := make([]map[RequestKey][]Newest, len(chunks)) // nil: failed, or not asked for
	failures := make([]error, len(chunks))
	var refusals refusals
	var group errgroup.Group
	group.SetLimit(c.concurrency)
	for i, chunk := range chunks {
		group.Go(func() error {
			if refusals.tooMany() {
				return nil
			}
			answers[i], failures[i] = c.lookUp(ctx, chunk)
			refusals.count(failures[i])
			return nil // one look-up that fails does not stop the others
		})
	}
	_ = group.Wait()
	unasked := 0
	for i, chunk := range chunks {
		switch {
		case failures[i] != nil:
			causes = append(causes, keyFailure{keys: len(chunk), err: failures[i]})
		case answers[i] == nil:
			unasked += len(chunk)
		default:
			maps.Copy(found, answers[i])
		}
	}
	if len(causes) > 0 {
		return found, &lookUpError{causes: causes, unasked: unasked, total: len(found)}
	}
	return found, nil
}

// maxRefusals is how many look-ups may be refused in a row before the rest is
// left: what is down or forbidden for one is so for all.
const maxRefusals = 3

// refusals counts the look-ups that were refused since the last that was not.
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

// chunks sorts the keys into look-ups, and the keys that cannot be asked for out.
func (c *Client) chunks(keys []RequestKey) (chunks [][]RequestKey, bad []keyFailure) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b RequestKey) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Subscription, b.Subscription))
	})
	var open []RequestKey
	for _, key := range slices.Compact(keys) {
		if err := key.check(); err != nil {
			bad = append(bad, keyFailure{keys: 1, err: &Error{Op: lookUpOp, Err: fmt.Errorf("key %+v: %w", key, err)}})
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
	if (k.Tenant == "") == (k.Subscription == "") {
		return errors.New("exactly one of Tenant and Subscription must be set")
	}
	for _, v := range []string{k.Tenant + k.Subscription, string(k.Type)} {
		if err := checkValue(v); err != nil {
			return fmt.Errorf("%q %w", v, err)
		}
	}
	_, err := rql.Format(rql.Connect, "&", k.term([]RequestKey{k}), anyOf("type", []string{string(k.Type)}))
	return err
}

func (k RequestKey) goesWith(other RequestKey) bool {
	return k.Type == other.Type && (k.Tenant == "") == (other.Tenant == "")
}

// term asks for the keys, which go with k.
func (k RequestKey) term(keys []RequestKey) rql.Expr {
	property := "asset.external_uid"
	if k.Tenant == "" {
		property = "asset.external_id"
	}
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = key.Tenant + key.Subscription // one of them is empty
	}
	return anyOf(property, values)
}

// of reports whether a request is one that the key names. Tenants are UUIDs, in
// which case does not count.
func (k RequestKey) of(r *Request) bool {
	if k.Type != r.Type {
		return false
	}
	if k.Tenant != "" {
		return strings.EqualFold(k.Tenant, r.Asset.ExternalUID)
	}
	return k.Subscription == r.Asset.ExternalID
}

// lookUp answers keys that go together.
func (c *Client) lookUp(ctx context.Context, keys []RequestKey) (map[RequestKey][]Newest, error) {
	const op = lookUpOp
	query, err := encode([]rql.Expr{
		projection("select", leftOut...),
		keys[0].term(keys),
		anyOf("type", []string{string(keys[0].Type)}),
		anyOf("status", plain(lookedFor)),
		projection("ordering", "-created"),
	})
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	histories := make(map[RequestKey]map[string][]*Request, len(keys))
	for r, err := range walk(ctx, c, requestList(op, query, c.pageSize, true)) {
		if err != nil {
			return nil, err
		}
		if err := file(histories, keys, r); err != nil {
			return nil, &Error{Op: op, Err: err}
		}
	}
	found := make(map[RequestKey][]Newest, len(keys))
	for _, key := range keys {
		found[key] = newestOf(histories[key])
	}
	return found, nil
}

func projection(op string, fields ...string) rql.Expr {
	args := make([]rql.Arg, len(fields))
	for i, f := range fields {
		args[i] = rql.Val(f)
	}
	return rql.Call(op, args...)
}

// file puts a request to the history of its key and asset. A request that no key
// named is left out; one that a key named must tell its asset and its age.
func file(histories map[RequestKey]map[string][]*Request, keys []RequestKey, r *Request) error {
	for _, key := range keys {
		if !key.of(r) {
			continue
		}
		if r.Asset.ID == "" || r.Created.IsZero() {
			return fmt.Errorf("request %s has no asset.id or no created: which is the newest cannot be told", wording.Excerpt(r.ID, 100))
		}
		if histories[key] == nil {
			histories[key] = make(map[string][]*Request)
		}
		histories[key][r.Asset.ID] = append(histories[key][r.Asset.ID], r)
	}
	return nil
}

// newestOf reduces the histories of the assets of a key, newest first.
func newestOf(assets map[string][]*Request) []Newest {
	found := make([]Newest, 0, len(assets))
	for _, history := range assets {
		slices.SortFunc(history, newerFirst)
		failed := slices.IndexFunc(history, func(r *Request) bool { return r.Status != StatusFailed })
		if failed < 0 {
			failed = len(history)
		}
		found = append(found, Newest{Request: *history[0], FailedInRow: failed})
	}
	slices.SortFunc(found, func(a, b Newest) int { return newerFirst(&a.Request, &b.Request) })
	return found
}

// newerFirst breaks a tie by the id, whose last group is a running number
// (inferred, facts/connect.md 1).
func newerFirst(a, b *Request) int {
	return -cmp.Or(
		a.Created.Compare(b.Created),
		cmp.Compare(len(a.ID), len(b.ID)),
		strings.Compare(a.ID, b.ID),
	)
}

type keyFailure struct {
	keys int
	err  error
}

// lookUpError says on one line why keys are unknown.
type lookUpError struct {
	causes  []keyFailure
	unasked int // keys that were left
	total   int // keys that were answered
}

func (e *lookUpError) Error() string {
	unknown := e.unasked
	for _, cause := range e.causes {
		unknown += cause.keys
	}
	line := fmt.Sprintf("connect: "+lookUpOp+": %d of %d keys are unknown: %s", unknown, unknown+e.total,
		strings.TrimPrefix(e.causes[0].err.Error(), "connect: "+lookUpOp+": "))
	if more := len(e.causes) - 1; more > 0 {
		line += fmt.Sprintf("; and %d more failed look-ups", more)
	}
	if e.unasked > 0 {
		line += fmt.Sprintf("; %d keys were not asked for, since %d look-ups in a row were refused", e.unasked, maxRefusals)
	}
	return wording.OneLine(line)
}

// Unwrap returns the causes.
func (e *lookUpError) Unwrap() []error {
	errs := make([]error, len(e.causes))
	for i, cause := range e.causes {
		errs[i] = cause.err
	}
	return errs
}
