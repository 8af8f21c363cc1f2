package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

func ExampleLog_Wrap() {
	folder, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "maintenance.audit")

	log, err := audit.Open(path, audit.Who{User: "ana"})
	if err != nil {
		fmt.Println(err)
		return
	}
	system := newShop(1)
	runner, err := resubmit.NewRunner(log.Wrap(system.config()))
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := system.planOf()
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := runner.Apply(context.Background(), plan); err != nil {
		fmt.Println(err)
	}
	if err := log.Close(); err != nil {
		fmt.Println("the log is incomplete:", err)
	}

	head, err := audit.VerifyFile(path)
	fmt.Println("valid:", err == nil, "closed:", head.Closed)
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	text[len(text)/2] ^= 1 // somebody changes a byte
	if err := os.WriteFile(path, text, 0o600); err != nil {
		fmt.Println(err)
		return
	}
	if _, err = audit.VerifyFile(path); err != nil {
		fmt.Println("the log was changed")
	}
	// Output:
	// valid: true closed: true
	// the log was changed
}
