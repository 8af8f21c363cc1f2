package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
)

func TestConsoleServesThisUser(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out lockedText
	p := &program{Terminal: terminal.Terminal{Stdout: io.Discard, Stderr: terminal.NewScreen(&out),
		Getenv: func(name string) string { return env[name] }}}
	ended := make(chan int, 1)
	go func() { ended <- p.run(ctx, with(flags, "console")) }()
	link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/login\?token=\S+`)
	require.Eventually(t, func() bool { return link.MatchString(out.String()) }, time.Minute, 10*time.Millisecond)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	get := func(url string) int {
		answer, err := browser.Get(url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	url := link.FindString(out.String())
	require.Equal(t, http.StatusOK, get(url))
	browser.Jar = nil
	require.NotEqual(t, http.StatusOK, get(url), "the link works once")
	require.Empty(t, w.Commerce.Pushes())
	stop()
	require.Equal(t, exitDone, <-ended, out.String())
	requireRejected(t, env, with(flags, "console", "-listen", "0.0.0.0:0"), exitError, "is not a loopback address")
}
