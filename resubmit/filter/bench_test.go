package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// fiveTerms has terms of the usual kinds, and byHand the same in plain Go.
func fiveTerms() filter.Filter {
	return filter.And(
		filter.Statuses(commerce.StatusProvisioningFailed),
		filter.Types(commerce.TypeSales, commerce.TypeChange),
		filter.PlacedBetween(night.Add(-2*time.Hour), night.Add(2*time.Hour)),
		filter.Channel(commerce.ChannelReseller),
	)
}

func byHand(from, to time.Time) func(o *commerce.Order) bool {
	return func(o *commerce.Order) bool {
		return o.Status == commerce.StatusProvisioningFailed &&
			(o.Type == commerce.TypeSales || o.Type == commerce.TypeChange) &&
			!o.PlacedAt.Before(from) && o.PlacedAt.Before(to) &&
			o.Channel == commerce.ChannelReseller
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	f, o := fiveTerms(), acme()
	require.True(t, f.Match(o))
	require.Zero(t, testing.AllocsPerRun(100, func() { f.Match(o) }))
}

func BenchmarkFiveTerms(b *testing.B) {
	o := acme()
	f := fiveTerms()
	hand := byHand(night.Add(-2*time.Hour), night.Add(2*time.Hour))
	require.True(b, f.Match(o) && hand(o))
	b.Run("filter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Match(o)
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hand(o)
		}
	})
	b.Run("with the reason", func(b *testing.B) {
		g := filter.And(f, filter.MessageLike("*bad gateway*"))
		b.ReportAllocs()
		for b.Loop() {
			g.Match(o)
		}
	})
}

func BenchmarkParseFilter(b *testing.B) {
	text := fiveTerms().String()
	b.ReportAllocs()
	for b.Loop() {
		_, err := filter.Parse(text)
		require.NoError(b, err)
	}
}
