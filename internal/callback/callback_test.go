package callback_test

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

func TestNil(t *testing.T) {
	t.Parallel()
	type empty struct{}
	for name, c := range map[string]struct {
		v    any
		want bool
	}{
		"nil":              {nil, true},
		"pointer":          {(*int)(nil), true},
		"func":             {(func())(nil), true},
		"map":              {(map[string]int)(nil), true},
		"channel":          {(chan int)(nil), true},
		"slice":            {([]int)(nil), false},
		"zero-size struct": {empty{}, false},
		"pointer to zero":  {new(empty), false},
		"function":         {func() {}, false},
	} {
		require.Equal(t, c.want, callback.Nil(c.v), name)
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	t.Run("returns_the_result", func(t *testing.T) {
		t.Parallel()
		n, err := callback.Call(func() (int, error) { return 3, errors.New("four") })
		require.Equal(t, 3, n)
		require.EqualError(t, err, "four")
	})
	t.Run("names_value_and_place_on_one_line", func(t *testing.T) {
		t.Parallel()
		m := map[string]int(nil)
		err := callback.Do(func() error { clear(m); m["a"] = 1; return nil })
		require.ErrorContains(t, err, "assignment to entry in nil map")
		require.ErrorContains(t, err, "callback_test.go:")
		err = callback.Do(func() error { panic("one\ntwo") })
		require.ErrorContains(t, err, "one two (at callback_test.")
		var log bytes.Buffer
		callback.Log(slog.New(slog.NewTextHandler(&log, nil)), err)
		require.Contains(t, log.String(), "level=ERROR")
		require.Contains(t, log.String(), "goroutine ")
	})
	t.Run("survives_Goexit", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, callback.Do(func() error { runtime.Goexit(); return nil }), "runtime.Goexit")
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	f := func() (err error) {
		defer callback.Recover(&err)
		var p *struct{ n int }
		_ = p.n
		return nil
	}
	require.ErrorContains(t, f(), "nil pointer dereference (at callback_test.")
}
