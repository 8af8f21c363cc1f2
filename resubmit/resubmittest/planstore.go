package resubmittest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// PlanStoreFixture is what [TestPlanStore] needs.
type PlanStoreFixture struct {
	// New returns the store, as another process would open it.
	New func(t *testing.T) plan.Store
	// Change changes what is stored of a plan, the plan or its signature, behind the back of the store. Nil removes it.
	Change func(t *testing.T, digest string, signature bool, change func(content []byte) []byte)
}

// planStoreOrders is how many orders the larger plans have, of 52 KB each, so that stores which cut plans into pieces
// have several.
const planStoreOrders = 22

// TestPlanStore checks that a store keeps the contract of [plan.Store], each promise in a subtest.
func TestPlanStore(t *testing.T, f PlanStoreFixture) {
	t.Helper()
	for name, check := range map[string]func(planStoreCheck, *conformance.Check){
		"returns what was stored":                   planStoreCheck.returns,
		"has no plan that was not stored":           planStoreCheck.missing,
		"rejects what is not a digest":              planStoreCheck.names,
		"carries the signature":                     planStoreCheck.signature,
		"stores no plan with an invalid signature":  planStoreCheck.badSignature,
		"rejects an invalid signature":              planStoreCheck.damagedSignature,
		"rejects damaged plans, and repairs them":   planStoreCheck.damaged,
		"rejects another plan":                      planStoreCheck.swapped,
		"stores nothing of a plan that was changed": planStoreCheck.changed,
		"stores a plan that several put at once":    planStoreCheck.concurrent,
		"leaves a plan alone after an error of Put": planStoreCheck.cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			conformance.Run(t, name, func(c *conformance.Check) { check(planStoreCheck{f, t, f.New(t)}, c) })
		})
	}
}

type planStoreCheck struct {
	PlanStoreFixture

	test  *testing.T
	store plan.Store
}

// newPlan writes a plan of so many orders, different each time, and returns the path of its file.
func newPlan(t *conformance.Check, orders int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	f, err := os.Create(path) //nolint:gosec // in the directory of the test
	t.NoError(err)
	w, err := plan.NewWriter(f, plan.Header{
		CreatedAt: time.Now(), System: "test", View: rand.Text(), Filter: "everything()",
	})
	t.NoError(err)
	for i := range orders {
		before := plan.Snapshot{Status: commerce.StatusProvisioningFailed, Message: strings.Repeat(rand.Text(), 2000)}
		id := fmt.Sprint("id-", i)
		t.NoError(w.Write(&plan.Entry{
			OrderID: id, Number: fmt.Sprint("SO", i), Type: commerce.TypeSales, Before: before,
			Fingerprint: plan.Fingerprint(id, before),
			Attribution: failure.Attribution{Verdict: failure.Caused, Class: failure.Transient},
			Decision:    rules.Decision{Action: rules.Resubmit, RuleID: "test", Why: "test"},
		}))
	}
	_, _, err = w.Close()
	t.NoError(err)
	t.NoError(f.Close())
	return path
}

func openPlan(t *conformance.Check, path string) *plan.Plan {
	t.Helper()
	p, err := plan.Open(path)
	t.NoError(err)
	t.Cleanup(func() { _ = p.Close() }) // it was only read
	return p
}

// put stores a new plan.
func (c planStoreCheck) put(t *conformance.Check, orders int) *plan.Plan {
	t.Helper()
	p := openPlan(t, newPlan(t, orders))
	t.NoError(c.store.Put(t.Context(), p))
	return p
}

// requireSame requires that another process opens the same plan, and returns its signature.
func (c planStoreCheck) requireSame(t *conformance.Check, want *plan.Plan) (*plan.Signature, error) {
	t.Helper()
	p, err := c.New(c.test).Open(t.Context(), want.Digest())
	t.NoError(err)
	t.True(p.Digest() == want.Digest(), "this is the plan %s, not %s", p.Digest(), want.Digest())
	var content [2]bytes.Buffer
	for i, p := range []*plan.Plan{want, p} {
		_, err := io.Copy(&content[i], p.Content())
		t.NoError(err)
	}
	t.True(bytes.Equal(content[0].Bytes(), content[1].Bytes()), "the content is another one")
	signature, signed := p.Signature()
	t.NoError(p.Close())
	return signature, signed
}

func (c planStoreCheck) returns(t *conformance.Check) {
	for _, orders := range []int{0, 1, planStoreOrders} {
		p := c.put(t, orders)
		_, err := c.requireSame(t, p)
		t.ErrorIs(err, plan.ErrUnsigned)
		t.NoError(c.store.Put(t.Context(), p)) // it is there already
		_, err = c.requireSame(t, p)
		t.ErrorIs(err, plan.ErrUnsigned)
	}
}

func (c planStoreCheck) missing(t *conformance.Check) {
	_, err := c.store.Open(t.Context(), openPlan(t, newPlan(t, 1)).Digest())
	t.ErrorIs(err, fs.ErrNotExist)
}

func (c planStoreCheck) names(t *conformance.Check) {
	p := c.put(t, 1)
	for _, digest := range []string{
		"", "sha256:", "sha256:../plan", p.Digest()[7:], p.Digest() + "0", p.Digest()[:70], p.Digest()[:70] + "%",
	} {
		_, err := c.store.Open(t.Context(), digest)
		t.True(err != nil && strings.Contains(err.Error(), "digest"), "%q is no digest, but the error is %v", digest, err)
	}
}

func newKey(t *conformance.Check) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	t.NoError(err)
	return key
}

func signed(t *conformance.Check, p *plan.Plan, by string) *plan.Plan {
	t.Helper()
	s, err := p.Sign(newKey(t), by)
	t.NoError(err)
	return p.WithSignature(s)
}

func (c planStoreCheck) signature(t *conformance.Check) {
	p := openPlan(t, newPlan(t, 2))
	t.NoError(c.store.Put(t.Context(), signed(t, p, "ana")))
	s, err := c.requireSame(t, p)
	t.NoError(err)
	t.True(s.Signer == "ana", "the signature of ana is expected, not of %s", s.Signer)
	t.NoError(c.store.Put(t.Context(), p))
	s, err = c.requireSame(t, p)
	t.NoError(err) // a plan without a signature leaves the one that is stored
	t.True(s.Signer == "ana", "the signature of ana is expected, not of %s", s.Signer)
	t.NoError(c.store.Put(t.Context(), signed(t, p, "ben")))
	s, err = c.requireSame(t, p)
	t.NoError(err)
	t.True(s.Signer == "ben", "the signature of ben is expected, not of %s", s.Signer)

	path := newPlan(t, 2)
	_, err = plan.SignFile(path, newKey(t), "eva")
	t.NoError(err)
	p = openPlan(t, path)
	t.NoError(c.store.Put(t.Context(), p))
	s, err = c.requireSame(t, p)
	t.NoError(err)
	t.True(s.Signer == "eva", "the signature of eva is expected, not of %s", s.Signer)
}

func (c planStoreCheck) badSignature(t *conformance.Check) {
	p := openPlan(t, newPlan(t, 2))
	other, err := signed(t, openPlan(t, newPlan(t, 1)), "ana").Signature()
	t.NoError(err)
	t.ErrorIs(c.store.Put(t.Context(), p.WithSignature(other)), plan.ErrBadSignature)
	_, err = c.store.Open(t.Context(), p.Digest())
	t.ErrorIs(err, fs.ErrNotExist)
}

func (c planStoreCheck) damagedSignature(t *conformance.Check) {
	p := signed(t, c.put(t, 1), "ana")
	other, err := signed(t, openPlan(t, newPlan(t, 1)), "ana").Signature()
	t.NoError(err)
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"edited":  func(b []byte) []byte { return bytes.Replace(b, []byte("ana"), []byte("eva"), 1) },
		"another": func([]byte) []byte { return other.Line() },
	} {
		t.NoError(c.store.Put(t.Context(), p))
		c.Change(c.test, p.Digest(), true, change)
		_, err := c.New(c.test).Open(t.Context(), p.Digest())
		t.True(err != nil, "no error, though the signature is %s", name)
	}
	t.NoError(c.store.Put(t.Context(), p)) // it can be signed again
	_, err = c.requireSame(t, p)
	t.NoError(err)
}

func (c planStoreCheck) damaged(t *conformance.Check) {
	p := c.put(t, planStoreOrders)
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":   func([]byte) []byte { return []byte{} },
		"edited":  func(b []byte) []byte { return bytes.Replace(b, []byte(`"test"`), []byte(`"tess"`), 1) },
		"longer":  func(b []byte) []byte { return append(bytes.Clone(b), b[:100]...) },
		"doubled": func(b []byte) []byte { return append(bytes.Clone(b), b...) },
		"removed": func([]byte) []byte { return nil },
	} {
		c.Change(c.test, p.Digest(), false, change)
		_, err := c.New(c.test).Open(t.Context(), p.Digest())
		t.True(err != nil, "no error, though the plan is %s", name)
		t.NoError(c.store.Put(t.Context(), p))
		_, _ = c.requireSame(t, p)
	}
}

func (c planStoreCheck) swapped(t *conformance.Check) {
	p, other := c.put(t, 1), c.put(t, 2)
	var content bytes.Buffer
	_, err := io.Copy(&content, other.Content())
	t.NoError(err)
	c.Change(c.test, p.Digest(), false, func([]byte) []byte { return content.Bytes() })
	_, err = c.New(c.test).Open(t.Context(), p.Digest())
	t.True(err != nil, "no error, though it is another plan")
}

// changed checks that a file that is edited after it was opened does not damage what is stored.
func (c planStoreCheck) changed(t *conformance.Check) {
	path := newPlan(t, planStoreOrders)
	p := openPlan(t, path)
	content, err := os.ReadFile(path) //nolint:gosec // see newPlan
	t.NoError(err)
	edited := bytes.Replace(content, []byte(`"SO20"`), []byte(`"SO30"`), 1)
	t.NoError(os.WriteFile(path, edited, 0o600)) //nolint:gosec // see newPlan
	t.True(c.store.Put(t.Context(), p) != nil, "no error, though the file was changed")
	_, err = c.New(c.test).Open(t.Context(), p.Digest())
	t.ErrorIs(err, fs.ErrNotExist)

	t.NoError(os.WriteFile(path, content, 0o600)) //nolint:gosec // see newPlan
	t.NoError(c.store.Put(t.Context(), p))
	t.NoError(os.WriteFile(path, edited, 0o600))  //nolint:gosec // see newPlan
	_ = c.store.Put(t.Context(), p)               // may do nothing
	t.NoError(os.WriteFile(path, content, 0o600)) //nolint:gosec // see newPlan
	_, _ = c.requireSame(t, p)
}

func (c planStoreCheck) concurrent(t *conformance.Check) {
	p := openPlan(t, newPlan(t, planStoreOrders))
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		store := c.New(c.test)
		all.Go(func() { errs[i] = store.Put(t.Context(), p) })
	}
	all.Wait()
	for _, err := range errs {
		t.NoError(err)
	}
	_, _ = c.requireSame(t, p)
}

func (c planStoreCheck) cancelled(t *conformance.Check) {
	p := c.put(t, planStoreOrders)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = c.store.Put(ctx, p) // may be done already
	_, _ = c.requireSame(t, p)
}
