package main

import (
	"context"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// ownSystem is an ordering system of its own, with the methods that the library asked for in the last release.
type ownSystem struct{ orders []*commerce.Order }

func (s *ownSystem) System() string  { return "our shop" }
func (s *ownSystem) BaseURL() string { return "https://shop.example.net" }

func (s *ownSystem) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, Lists: true}
}

func (s *ownSystem) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range s.orders {
			if q.Match(o) && !yield(o, nil) {
				return
			}
		}
	}
}

func (s *ownSystem) Order(_ context.Context, id string) (*commerce.Order, error) {
	for _, o := range s.orders {
		if o.ID == id {
			return o, nil
		}
	}
	return nil, &commerce.Error{Op: "order", Err: commerce.ErrNotFound}
}

func (s *ownSystem) Push(ctx context.Context, id string, to commerce.Status) error {
	o, err := s.Order(ctx, id)
	if err != nil {
		return &commerce.Error{Op: "push", Err: err, Delivery: commerce.DeliveryNotSent}
	}
	o.Status = to
	return nil
}
