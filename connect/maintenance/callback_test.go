package maintenance_test

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// nilMap is a source and a prober that works while it is nil, and is rejected all the same.
type nilMap map[string]bool

func (nilMap) Windows(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
	return nil, nil
}
func (nilMap) Probe(context.Context) (connect.Probe, error) { return connect.Probe{}, nil }

// zeroSize is one without any data.
type zeroSize struct{}

func (zeroSize) Windows(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
	return nil, nil
}

func TestNilCallbacks(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, s := range map[string]maintenance.WindowSource{
		"pointer": (*maintenance.Multi)(nil), "function": maintenance.SourceFunc(nil), "map": nilMap(nil),
		"tracker": (*availability.Tracker)(nil),
	} {
		_, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "one", Source: s}})
		require.ErrorContains(t, err, `source of windows "one" is nil`, name)
		_, err = maintenance.QueryCalendar(t.Context(), s, from, from.Add(time.Hour))
		require.ErrorContains(t, err, "the source of windows is nil", name)
	}
	_, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "one", Source: zeroSize{}}})
	require.NoError(t, err)
	for name, p := range map[string]availability.Prober{"nil": nil, "pointer": (*connect.Client)(nil),
		"map": nilMap(nil)} {
		require.ErrorContains(t, new(availability.Tracker).Run(t.Context(), p), "the prober is nil", name)
		_, err := availability.WaitUntilUp(t.Context(), p, availability.WaitConfig{})
		require.ErrorContains(t, err, "the prober is nil", name)
	}
	_, err = connect.New("https://api.connect.example.com/public/v1", (*secret)(nil))
	require.ErrorContains(t, err, "no credentials")
}

type secret struct{}

func (*secret) Apply(context.Context, *http.Request) error { return nil }
func (*secret) Renew(context.Context, *http.Request) bool  { return false }

type panickingProber struct{ looks int }

func (p *panickingProber) Probe(context.Context) (connect.Probe, error) {
	if p.looks++; p.looks < 3 {
		panic("prober\nis broken")
	}
	return connect.Probe{Class: connect.ClassUp, At: time.Now()}, nil
}

func TestPanicsOfCallbacks(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	good := maintenance.SourceFunc(func(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
		return []maintenance.Window{{ID: "a", Start: from, End: from.Add(time.Hour), Source: "good"}}, nil
	})
	for name, bad := range map[string]maintenance.SourceFunc{
		"source is broken": func(context.Context, time.Time, time.Time) ([]maintenance.Window,
			error) {
			panic("source\nis broken")
		},
		"runtime.Goexit": func(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
			runtime.Goexit()
			return nil, nil
		},
	} {
		m, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "bad", Source: bad}, {Name: "good", Source: good}})
		require.NoError(t, err)
		windows, err := m.Windows(t.Context(), from, from.Add(time.Hour))
		require.ErrorIs(t, err, maintenance.ErrIncomplete)
		require.ErrorContains(t, err, name)
		require.Len(t, windows, 1)
		_, err = maintenance.QueryCalendar(t.Context(), bad, from, from.Add(time.Hour))
		require.ErrorContains(t, err, name)
	}
	synctest.Test(t, func(t *testing.T) {
		tracker, err := availability.NewTracker(
			availability.TrackerConfig{Calendar: func() *maintenance.Calendar { panic("calendar is broken") }})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		require.ErrorIs(t, tracker.Run(ctx, &panickingProber{}), context.DeadlineExceeded)
		require.Equal(t, availability.ConditionUp, tracker.Status(time.Now()).Condition)
		waited, err := availability.WaitUntilUp(t.Context(), &panickingProber{}, availability.WaitConfig{})
		require.NoError(t, err)
		require.Equal(t, 2, waited.Probes[connect.ClassUnreachable])
	})
}
