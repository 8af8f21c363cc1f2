package commercetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Place adds an order that is paid and about to be provisioned (StatusPaid). [System.Step] and
// [System.Run] move it from there.
func (s *System) Place(n OrderSpec) Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	rec := s.store.add(n, s.cfg.ProviderAccount, now)
	s.start(rec, commerce.StatusPaid, now)
	return rec.Order
}

// Order returns an order by APS id, number or billing id; false if there is none.
// Config.StaleReadsFor has no effect here.
func (s *System) Order(id string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.store.find(id)
	if rec == nil {
		return Order{}, false
	}
	return rec.Order, true
}

// Orders returns all orders in the order of placing. Config.StaleReadsFor has no effect here.
func (s *System) Orders() []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	orders := make([]Order, len(s.store.records))
	for i, rec := range s.store.records {
		orders[i] = rec.Order
	}
	return orders
}

// Push pushes an order as a person does in the Provider Control Panel. Such a push is
// recorded in the ledger but violates no rule.
func (s *System) Push(id string, to commerce.Status) error {
	if p := s.push(attempt{origin: OriginPanel, id: id, to: to}); !p.accepted {
		return fmt.Errorf("commercetest: push: %s", p.message)
	}
	return nil
}

// MarkFailed fails an order that is in progress, as an operator can in the panel.
func (s *System) MarkFailed(id, text string) error {
	return s.change(id, func(rec *record) error {
		switch rec.Status {
		case commerce.StatusProvisioningFailed, commerce.StatusCompleted, commerce.StatusCancelled:
			return fmt.Errorf("commercetest: mark %s as failed: it is %s, not in progress", rec.Number, rec.Status)
		}
		s.fail(rec, text, CauseOperator, s.cfg.Now())
		return nil
	})
}

// FailWith changes the injected failure of an order, for the next time it is
// provisioned: see OrderSpec.FailWith. "" removes it.
func (s *System) FailWith(id, text string) error {
	return s.change(id, func(rec *record) error { rec.FailWith = text; return nil })
}

// ForbidPush makes every push of an order by a client a violation of [RuleForbidden]. The
// reason is required and is part of the violation.
func (s *System) ForbidPush(id, reason string) error {
	if reason == "" {
		return fmt.Errorf("commercetest: forbid %s: the reason is empty", id)
	}
	return s.change(id, func(rec *record) error { rec.Forbidden = reason; return nil })
}

func (s *System) change(id string, f func(*record) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.store.find(id)
	if rec == nil {
		return fmt.Errorf("commercetest: %s", noOrder(id))
	}
	return f(rec)
}

// transitions are the manual transitions that an order offers (commerce/WIRE.md#5.4),
// with the labels of their buttons.
func (s *System) transitions(o *Order) map[commerce.Status]string {
	if o.Status != commerce.StatusProvisioningFailed {
		return map[commerce.Status]string{}
	}
	offered := map[commerce.Status]string{commerce.StatusCancelled: "Cancel Order"}
	switch {
	case o.Type == commerce.TypeCancellationCharge:
		offered[commerce.StatusCheckingConditions] = "Proceed with provisioning"
	case s.cfg.OfferProvisioning:
		offered[commerce.StatusProvisioning] = "Resubmit for Provisioning"
	default:
		offered[commerce.StatusPaid] = "Resubmit for Provisioning"
	}
	return offered
}

// pushed is the result of a push.
type pushed struct {
	accepted bool
	status   int    // HTTP status
	code     string // the APS error type
	message  string
	order    Order // as APIs return it now, if accepted
}

// attempt is a push through one of the APIs or in the panel.
type attempt struct {
	origin Origin
	id     string
	to     commerce.Status
	// verify returns why the push is refused beyond the flow, or "". Optional.
	verify func(*Order) string
	// with changes the order together with its status. Optional.
	with func(*record)
}

// push attempts one manual transition.
func (s *System) push(a attempt) pushed {
	inWindow := a.origin != OriginPanel && s.cfg.InMaintenance != nil && s.cfg.InMaintenance()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	c := Push{At: now, Origin: a.origin, Order: a.id, To: a.to}
	p := unknownOrder(a.origin, a.id)
	if rec := s.lookUp(a.origin, a.id); rec != nil {
		c.Number, c.FailureNumber = rec.Number, rec.Failures
		c.From = rec.view(now).Status
		p = s.attempt(a, rec, now, inWindow)
	}
	c.Accepted = p.accepted
	switch a.origin {
	case OriginPanel:
	case OriginBilling:
		c.HTTPStatus = http.StatusOK // even if the answer is a fault
	default:
		c.HTTPStatus = p.status
	}
	s.record(c)
	return p
}

// lookUp returns the order with the id that an API uses; nil if the API shows no such order.
func (s *System) lookUp(origin Origin, id string) *record {
	rec := s.store.find(id)
	if rec == nil {
		return nil
	}
	shown := true
	switch origin {
	case OriginOrderManager:
		shown = rec.ID == id
	case OriginBilling:
		shown = rec.BillingID == id
	case OriginSimpleAPI:
		shown = rec.BillingID == id && s.inSimpleScope(rec)
	}
	if !shown {
		return nil
	}
	return rec
}

func unknownOrder(origin Origin, id string) pushed {
	switch origin {
	case OriginBilling:
		return pushed{message: noRow(id)}
	case OriginSimpleAPI:
		return pushed{status: http.StatusBadRequest, message: noEntity}
	default:
		return pushed{status: http.StatusNotFound, code: "NotFound", message: noOrder(id)}
	}
}

func noOrder(id string) string { return fmt.Sprintf("there is no order %q", id) }

func (s *System) attempt(a attempt, rec *record, now time.Time, inWindow bool) pushed {
	if a.origin != OriginPanel {
		s.checkAttempt(rec, now, inWindow)
	}
	seen := rec.view(now)
	if a.verify != nil {
		if why := a.verify(&seen); why != "" {
			return pushed{message: why}
		}
	}
	offered := s.transitions(&seen)
	if _, ok := offered[a.to]; !ok {
		return pushed{
			status: s.cfg.RefusedPushStatus, code: "TransitionNotAllowed",
			message: fmt.Sprintf("order %s is %s and offers no transition to %q; it offers %s",
				seen.Number, seen.Status, a.to, list(offered)),
		}
	}
	s.accept(rec, a.to, a.origin, now)
	if a.with != nil {
		a.with(rec)
	}
	return pushed{accepted: true, status: http.StatusOK, order: rec.view(now)}
}

func list(offered map[commerce.Status]string) string {
	if len(offered) == 0 {
		return "none"
	}
	codes := make([]string, 0, len(offered))
	for _, code := range slices.Sorted(maps.Keys(offered)) {
		codes = append(codes, string(code))
	}
	return strings.Join(codes, ", ")
}

func (s *System) accept(rec *record, to commerce.Status, origin Origin, now time.Time) {
	if origin != OriginPanel {
		s.checkAccepted(rec, now)
	}
	again := rec.pushedFor == rec.Failures
	rec.Pushes++
	rec.pushedFor = rec.Failures
	if again || now.Before(rec.FailedAt.Add(s.cfg.StaleEventFor)) {
		rec.doubled = true
	}
	if again { // the order has moved already: this push only created a second event
		if rec.Status == commerce.StatusCompleted {
			rec.ProvisioningStatus = commerce.ProvisioningFailed
		}
		return
	}
	if origin != OriginPanel {
		rec.pushedAt, rec.inProgress = now, true
	}
	if s.cfg.StaleReadsFor > 0 {
		old := rec.Order
		rec.stale, rec.staleUntil = &old, now.Add(s.cfg.StaleReadsFor)
	}
	if to == commerce.StatusCancelled {
		s.end(rec, commerce.StatusCancelled)
		return
	}
	s.start(rec, to, now)
}

// start moves the order to a status from which the flow continues automatically.
func (s *System) start(rec *record, at commerce.Status, now time.Time) {
	rec.turn++
	rec.Failure, rec.Cause = "", ""
	rec.ProvisioningStatus = commerce.ProvisioningInProgress
	s.setStatus(rec, at)
	s.schedule(rec, now, phaseStart)
}

// advance takes the automatic transitions up to the call of provisioning, and reports
// whether provisioning must be called.
func (s *System) advance(rec *record) bool {
	for {
		switch rec.Status {
		case commerce.StatusPaid: // OF_IsProvisioningRequired
			if !rec.needsProvisioning() {
				s.complete(rec)
				return false
			}
			s.setStatus(rec, commerce.StatusProvisioningRequired)
		case commerce.StatusCheckingConditions: // OF_CreateResellerTransactions
			s.setStatus(rec, commerce.StatusResellerDocuments)
		case commerce.StatusProvisioningRequired, commerce.StatusResellerDocuments: // OF_SubmitForProvisioning
			s.setStatus(rec, commerce.StatusProvisioning)
		default:
			return true
		}
	}
}

// needsProvisioning is false for orders that only move money. An order with an injected
// failure is meant to fail in provisioning.
func (rec *record) needsProvisioning() bool {
	money := rec.Type == commerce.TypeBilling || rec.Type == commerce.TypePayment
	return !money || rec.RequestType != "" || rec.FailWith != ""
}

func (s *System) complete(rec *record) {
	s.setStatus(rec, commerce.StatusProvisioned)
	s.end(rec, commerce.StatusCompleted)
	rec.ProvisioningStatus = commerce.ProvisioningCompleted
	rec.CompletedAt = s.cfg.Now().UTC()
	if rec.doubled {
		rec.ProvisioningStatus = commerce.ProvisioningFailed
	}
}

func (s *System) end(rec *record, at commerce.Status) {
	rec.turn++
	rec.inProgress = false
	rec.Failure, rec.Cause = "", ""
	s.setStatus(rec, at)
}

func (s *System) fail(rec *record, text string, cause Cause, now time.Time) {
	rec.turn++
	rec.inProgress = false
	rec.stale = nil
	rec.doubled = false // a failed item of this turn fails with the order
	rec.Failures++
	rec.FailedAt = now.UTC()
	rec.Failure, rec.Cause = text, cause
	rec.ProvisioningStatus = commerce.ProvisioningFailed
	s.setStatus(rec, commerce.StatusProvisioningFailed)
}

// setStatus also updates the transitions that the order offers.
func (s *System) setStatus(rec *record, to commerce.Status) {
	rec.Status = to
	rec.Transitions = slices.Sorted(maps.Keys(s.transitions(&rec.Order)))
}
