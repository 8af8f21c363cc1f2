//go:build !unix

package journal_test

import (
	"errors"
	"testing"
	"time"
)

func limitFiles(uint64) error { return errors.ErrUnsupported }

func cpu(testing.TB) time.Duration { return 0 }
