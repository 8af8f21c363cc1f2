package console_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAHeldOrderIsPlannedWithAReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.plan()
		body := s.page("order?order=SO000009")
		require.Contains(t, body, "Plan it although it is held")
		require.Contains(t, body, "Script check returned 3")
		status, body := read(t, s.post("override", "order", "id-9", "why", " "))
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, body, `href="#override-why"`)
		s.see("override", "order", "id-9", "why", "the script was repaired")
		require.Equal(t, "override: the script was repaired", s.run().For)
		require.Equal(t, 1, s.run().Counts.Resubmit, "%s", s.run())
		require.Zero(t, s.shop.sent(), "it must be approved")
	})
}

func TestAnOrderIsSettledOnlyWithAReasonAndIfItIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		run := s.plan()
		for name, c := range map[string]struct {
			form   []string
			status int
		}{
			"no order":   {[]string{"why", "x", "outcome", "completed", "version", "1"}, http.StatusBadRequest},
			"no version": {[]string{"order", "id-1", "why", "x", "outcome", "completed"}, http.StatusBadRequest},
			"no reason":  {[]string{"order", "id-1", "outcome", "completed", "version", "1"}, http.StatusUnprocessableEntity},
			"no outcome": {[]string{"order", "id-1", "why", "x", "version", "1"}, http.StatusUnprocessableEntity},
			"not sent yet": {
				[]string{"order", "id-1", "why", "x", "outcome", "completed", "version", "1"}, http.StatusConflict,
			},
		} {
			status, body := read(t, s.post("resolve", c.form...))
			require.Equal(t, c.status, status, "%s: %s", name, body)
		}
		s.see("approve", "plan", run.Digest)
		s.wait()
		h, err := s.dir.Order(t.Context(), "id-1")
		require.NoError(t, err)
		status, _ := read(t, s.post("resolve", "order", "id-1", "why", "x", "outcome", "notMoved",
			"version", fmt.Sprint(h.Record.Version)))
		require.Equal(t, http.StatusConflict, status, "it is verified")
		body := s.page("order?order=SO000001")
		require.Contains(t, body, "Nothing: it is verified.")
		require.NotContains(t, body, "Settle it by hand")
		require.NotContains(t, body, "Plan this order")
	})
}

func TestAnUnknownNumberIsNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 20)
		s.plan()
		status, body := s.get("order?order=SO999999")
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, body, "No order SO999999 in this directory.")
		require.Contains(t, body, `value="SO999999"`)
	})
}

func TestOnlyTheRecordThatWasShownIsSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1)
		s.shop.hold = make(chan struct{})
		run := s.plan()
		s.see("approve", "plan", run.Digest)
		time.Sleep(3 * time.Second)
		s.console.Close()
		s.mount()
		s.see("control", "run", run.Digest, "action", "cancel")
		s.wait()
		time.Sleep(time.Hour)
		field := regexp.MustCompile(`name="version" value="(\d+)"`)
		version, err := strconv.Atoi(field.FindStringSubmatch(s.page("order?order=id-1"))[1])
		require.NoError(t, err)
		form := []string{"order", "id-1", "why", "support said so", "outcome", "notMoved", "version"}
		status, body := read(t, s.post("resolve", append(form, strconv.Itoa(version-1))...))
		require.Equal(t, http.StatusConflict, status)
		require.Contains(t, body, "has changed since it was shown")
		s.see("resolve", append(form, strconv.Itoa(version))...)
		status, _ = read(t, s.post("resolve", append(form, strconv.Itoa(version))...))
		require.Equal(t, http.StatusConflict, status, "it was settled")
	})
}
