package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is the browser of all tests. Each test has a tab of its own.
var browser context.Context

func TestMain(m *testing.M) {
	path, err := exec.LookPath("chromium-headless-shell")
	if err == nil {
		err = exec.Command(path, "--version").Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chromium-headless-shell cannot be started; apt-get install chromium-headless-shell:", err)
		os.Exit(1)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP console.test 127.0.0.1"))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	browser = ctx //nolint:fatcontext // that of all tests
	code := 1
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintln(os.Stderr, "start the browser:", err)
	} else {
		code = m.Run()
	}
	stop()
	stopAllocator()
	os.Exit(code)
}

// tab is a tab in which errors of the console fail the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	errors  []string
	allowed bool // errors of the console are expected
	plain   bool // there is no JavaScript
}

func newTab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	ctx, late := context.WithTimeout(ctx, 2*time.Minute)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		late()
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.allowed {
			require.Empty(t, b.errors, "errors in the console of the browser")
		}
	})
	require.NoError(t, chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		return err
	})))
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" {
				b.errors = append(b.errors, fmt.Sprintf("console.error: %v", e.Args))
			}
		case *log.EventEntryAdded:
			b.errors = append(b.errors, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	}))
	b.size(1100, 900)
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// click clicks on what a CSS selector finds, and waits for the page that follows.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.follow(chromedp.Click(chromedp.CSS(selector)))
}

// press clicks on a button or link by the start of its text.
func (b *tab) press(text string) {
	b.t.Helper()
	const query = `//main//*[self::a or self::button][starts-with(normalize-space(.), %q)]`
	b.follow(chromedp.Click(chromedp.Search(fmt.Sprintf(query, text))))
}

// follow does what loads another page, and waits for it.
func (b *tab) follow(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`window.before = true`), step)
	b.waitFor(`!window.before && document.readyState === "complete" && !!document.querySelector("footer")`)
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(selector)))
	require.NoError(b.t, err)
	return s
}

// waitFor waits until a selector's text satisfies a condition in JavaScript.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { // a poll in the page would end with the page
		done, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && done
	}, 20*time.Second, 20*time.Millisecond, expression)
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

func (b *tab) dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
		})
		return err
	}))
}

// shot saves a screenshot of the whole page in the directory of CONSOLE_SHOTS, if that is set.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// click clicks on what a CSS selector finds, without waiting for a page.
func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

// is evaluates a condition in the page.
func (b *tab) is(expression string) bool {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
	require.NoError(b.t, err, expression)
	return v
}

func (b *tab) script(expression string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](expression))
}

func (b *tab) address() string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Location())
	require.NoError(b.t, err)
	return s
}

// submit submits the form of a field.
func (b *tab) submit(selector string) {
	b.t.Helper()
	b.follow(chromedp.SendKeys(chromedp.CSS(selector), "\r"))
}

// allowErrors allows errors in the console of the browser, such as those of pages with an error status.
func (b *tab) allowErrors() { b.allowed = true }

// scripts switches JavaScript on or off.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
	b.plain = !on
}

// eventually repeats a step until a condition holds.
func (b *tab) eventually(condition func() bool, step func()) {
	b.t.Helper()
	for range 100 {
		if condition() {
			return
		}
		step()
	}
	require.Fail(b.t, "the condition never holds")
}
