package cloudblue_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Each block of Go code in the README is a file of one package, which must compile.
func TestREADMECodeCompiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllSubmatch(text, -1)
	require.Len(t, blocks, 5)
	dir := t.TempDir()
	args := []string{"vet"}
	for i, block := range blocks {
		file := filepath.Join(dir, fmt.Sprintf("block%d.go", i+1))
		require.NoError(t, os.WriteFile(file, append([]byte("package readme\n\n"), block[1]...), 0o600))
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	require.NoError(t, err, string(out))
}
