package cloudblue_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	methodName = regexp.MustCompile("`\\(\\*((?:protocol\\.)?)(\\w+)\\)\\.(\\w+)`")
	goFile     = regexp.MustCompile(`[\w/]+\.go\b`)
)

// The functions and files that CONTRIBUTING.md names exist.
func TestContributing(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(read(t, "CONTRIBUTING.md"), "## One order through the code")
	trace, rest, _ := strings.Cut(text, "## Where to change what")
	changes, _, _ := strings.Cut(rest, "\n## ")
	methods := methodName.FindAllStringSubmatch(trace, -1)
	require.Greater(t, len(methods), 15)
	for _, m := range methods {
		files := "resubmit/*.go"
		if m[1] != "" {
			files = "resubmit/protocol/*.go"
		}
		declared := regexp.MustCompile(`(?m)^func \(\w+ \*` + m[2] + `\) ` + m[3] + `\(`)
		require.True(t, declared.MatchString(read(t, files)), "%s does not exist", m[0])
	}
	require.Greater(t, strings.Count(changes, "\n| "), 10)
	for _, line := range strings.Split(trace+changes, "\n") {
		dir := ""
		for _, name := range goFile.FindAllString(line, -1) {
			found := false
			for _, path := range []string{name, filepath.Join("resubmit", name), filepath.Join(dir, name)} {
				_, err := os.Stat(path)
				if found = err == nil; found {
					dir = filepath.Dir(path)
					break
				}
			}
			require.True(t, found, "%s: no file %s", line, name)
		}
	}
}
