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

// Place puts an order into its flow, at PD: paid, about to be provisioned. What
// follows happens in Step or Run.
func (s *System) Place(n NewOrder) Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	rec := s.store.add(n, s.cfg.ProviderAccount, now)
	s.start(rec, commerce.StatusPaid, now)
	return rec.Order
}

// Order returns an order by APS id, number or billing id, as it really is:
// StaleReads has no effect here.
func (s *System) Order(id string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.store.find(id)
	if rec == nil {
		return Order{}, false
	}
	return rec.Order, true
}

// Orders returns all orders in the order of placing, as they really are.
func (s *System) Orders() []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	orders := make([]Order, len(s.store.records))
	for i, rec := range s.store.records {
		orders[i] = rec.Order
	}
	return orders
}

// Push moves an order as a person does in the panel.
func (s *System) Push(id string, to commerce.Status) error {
	if p := s.push(attempt{by: ByPanel, id: id, to: to}); !p.accepted {
		return fmt.Errorf("commercetest: push: %s", p.message)
	}
	return nil
}

// MarkFailed is the operator's mark: an order that is under way becomes failed, with a text.
func (s *System) MarkFailed(id, text string) error {
	return s.change(id, func(rec *record) error {
		switch rec.Status {
		case commerce.StatusProvisioningFailed, commerce.StatusCompleted, commerce.StatusCancelled:
			return fmt.Errorf("commercetest: mark %s as failed: it is %s, not under way", rec.Number, rec.Status)
		}
		s.fail(rec, text, CauseOperator, s.cfg.Now())
		return nil
	})
}

// ClearTrouble removes the cause for which an order fails before Connect is asked.
func (s *System) ClearTrouble(id string) error {
	return s.change(id, func(rec *record) error { rec.Trouble = ""; return nil })
}

// Forbid makes every push of an order by a client a violation, and says why.
func (s *System) Forbid(id, why string) error {
	if why == "" {
		return fmt.Errorf("commercetest: forbid %s: say why", id)
	}
	return s.change(id, func(rec *record) error { rec.Forbidden = why; return nil })
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

// transitions are the manual moves that an order offers (commerce/WIRE.md#5.4), with the texts of
// their buttons.
func (s *System) transitions(o *Order) map[commerce.Status]string {
	if o.Status != commerce.StatusProvisioningFailed {
		return map[commerce.Status]string{}
	}
	offered := map[commerce.Status]string{commerce.StatusCancelled: "Cancel Order"}
	switch {
	case o.Type == commerce.TypeCancellationCharge:
		offered[commerce.StatusCheckingConditions] = "Proceed with provisioning"
	case s.cfg.DocumentedFlow:
		offered[commerce.StatusProvisioning] = "Resubmit for Provisioning"
	default:
		offered[commerce.StatusPaid] = "Resubmit for Provisioning"
	}
	return offered
}

// pushed is the outcome of a push.
type pushed struct {
	accepted bool
	status   int    // of HTTP
	code     string // the APS error type
	message  string
	order    Order // as readers see it now, when accepted
}

// attempt is a push to try, for whichever way in.
type attempt struct {
	by, id string
	to     commerce.Status
	// verify refuses the push for a reason beyond the flow; "" lets it pass, as nil does.
	verify func(*Order) string
	// with changes the order together with its status; nil changes nothing else.
	with func(*record)
}

// push tries one manual transition.
func (s *System) push(a attempt) pushed {
	inWindow := a.by != ByPanel && s.cfg.InMaintenance != nil && s.cfg.InMaintenance()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	c := Call{At: now, By: a.by, Order: a.id, To: a.to}
	p := unknownOrder(a.by, a.id)
	if rec := s.lookUp(a.by, a.id); rec != nil {
		c.Number, c.Failure = rec.Number, rec.Failures
		c.From = rec.view(now).Status
		p = s.tryPush(a, rec, now, inWindow)
	}
	c.Accepted = p.accepted
	switch a.by {
	case ByPanel:
	case ByBilling:
		c.HTTPStatus = http.StatusOK // faults are sent so too
	default:
		c.HTTPStatus = p.status
	}
	s.enter(c)
	return p
}

// lookUp finds an order by the id that a way in knows it by; nil when it shows
// no such order.
func (s *System) lookUp(by, id string) *record {
	rec := s.store.find(id)
	if rec == nil {
		return nil
	}
	shown := true
	switch by {
	case ByOrderManager:
		shown = rec.ID == id
	case ByBilling:
		shown = rec.InternalID == id
	case BySimpleAPI:
		shown = rec.InternalID == id && s.inSimpleScope(rec)
	}
	if !shown {
		return nil
	}
	return rec
}

func unknownOrder(by, id string) pushed {
	switch by {
	case ByBilling:
		return pushed{message: noRow(id)}
	case BySimpleAPI:
		return pushed{status: http.StatusBadRequest, message: noEntity}
	default:
		return pushed{status: http.StatusNotFound, code: "NotFound", message: noOrder(id)}
	}
}

func noOrder(id string) string { return fmt.Sprintf("there is no order %q", id) }

func (s *System) tryPush(a attempt, rec *record, now time.Time, inWindow bool) pushed {
	if a.by != ByPanel {
		s.judgeTry(rec, now, inWindow)
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
			status: s.cfg.RefusedPush, code: "TransitionNotAllowed",
			message: fmt.Sprintf("order %s is %s and offers no transition to %q; it offers %s", seen.Number, seen.Status, a.to, list(offered)),
		}
	}
	s.accept(rec, a.to, a.by, now)
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

func (s *System) accept(rec *record, to commerce.Status, by string, now time.Time) {
	if by != ByPanel {
		s.judgeAccepted(rec, now)
	}
	again := rec.pushedFor == rec.Failures
	rec.Pushes++
	rec.pushedFor = rec.Failures
	if again || now.Before(rec.FailedAt.Add(s.cfg.OldEvent)) {
		rec.doubled = true
	}
	if again { // the order is on its way, or through; this push only made a second event
		if rec.Status == commerce.StatusCompleted {
			rec.Provisioning = commerce.ProvisioningFailed
		}
		return
	}
	if by != ByPanel {
		rec.ours, rec.working = now, true
	}
	if s.cfg.StaleReads > 0 {
		old := rec.Order
		rec.stale, rec.staleUntil = &old, now.Add(s.cfg.StaleReads)
	}
	if to == commerce.StatusCancelled {
		s.end(rec, commerce.StatusCancelled)
		return
	}
	s.start(rec, to, now)
}

// start puts the order at a status from which the flow goes on by itself.
func (s *System) start(rec *record, at commerce.Status, now time.Time) {
	rec.life++
	rec.Failure, rec.Cause = "", ""
	rec.Provisioning = commerce.ProvisioningInProgress
	s.setStatus(rec, at)
	s.schedule(rec, now, phaseStart)
}

// advance takes the automatic transitions up to where provisioning is called;
// it reports whether it has to be called.
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

// needsProvisioning is false for orders that only move money. One with a
// trouble is meant to fail, so it has something to provision.
func (rec *record) needsProvisioning() bool {
	money := rec.Type == commerce.TypeBilling || rec.Type == commerce.TypePayment
	return !money || rec.Request != "" || rec.Trouble != ""
}

func (s *System) complete(rec *record) {
	s.setStatus(rec, commerce.StatusProvisioned)
	s.end(rec, commerce.StatusCompleted)
	rec.Provisioning = commerce.ProvisioningCompleted
	rec.CompletedAt = s.cfg.Now().UTC()
	if rec.doubled {
		rec.Provisioning = commerce.ProvisioningFailed
	}
}

func (s *System) end(rec *record, at commerce.Status) {
	rec.life++
	rec.working = false
	rec.Failure, rec.Cause = "", ""
	s.setStatus(rec, at)
}

func (s *System) fail(rec *record, text string, cause Cause, now time.Time) {
	rec.life++
	rec.working = false
	rec.stale = nil
	rec.doubled = false // a failed item of this turn goes with the order
	rec.Failures++
	rec.FailedAt = now.UTC()
	rec.Failure, rec.Cause = text, cause
	rec.Provisioning = commerce.ProvisioningFailed
	s.setStatus(rec, commerce.StatusProvisioningFailed)
}

// setStatus also writes down what the order offers from there.
func (s *System) setStatus(rec *record, to commerce.Status) {
	rec.Status = to
	rec.Offers = slices.Sorted(maps.Keys(s.transitions(&rec.Order)))
}
