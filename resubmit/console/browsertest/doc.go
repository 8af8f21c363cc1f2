// Package browsertest tests the web console in Chromium. It is a module of its own, so that the library does not link a
// browser driver. See .ci/browser.
package browsertest
