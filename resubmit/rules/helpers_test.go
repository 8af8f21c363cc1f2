package rules_test

import (
	"errors"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

const textTransient = "APS Application Error:\n'500 Internal Server Error' received from 'POST " +
	"http://connector/tenants'"

// failed is a failure with a text, or without one.
func failed(text string) commerce.Failure {
	if text == "" {
		return commerce.Failure{}
	}
	return commerce.Failure{Messages: map[string]string{"en_US": text}}
}

// at is a time in November 2026.
func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-11-"+clock)
	if err != nil {
		panic(err)
	}
	return t
}

var errDiskFull = errors.New("disk full")

// brokenWriter fails after some bytes.
type brokenWriter struct{ after int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, errDiskFull
	}
	return len(b), nil
}
