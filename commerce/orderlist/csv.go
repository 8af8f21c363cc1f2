package orderlist

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// FromCSV returns a Lister of a CSV file (RFC 4180, UTF-8) whose first record has the names of the columns. Each list
// opens it again. Errors count the rows after that record.
func FromCSV(open func() (io.ReadCloser, error), opts ...Option) *Lister {
	return newLister(func(context.Context) iter.Seq2[[]any, error] {
		return func(yield func([]any, error) bool) {
			if err := readCSV(open, yield); err != nil {
				yield(nil, fmt.Errorf("read the CSV file: %w", err))
			}
		}
	}, opts)
}

// readCSV yields the records until yield returns false.
func readCSV(open func() (io.ReadCloser, error), yield func([]any, error) bool) error {
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		values := make([]any, len(record))
		for i, field := range record {
			values[i] = strings.Clone(field)
		}
		if first && len(record) > 0 {
			values[0] = strings.TrimPrefix(record[0], "\ufeff") // as spreadsheets write it
		}
		if !yield(values, nil) {
			return nil
		}
	}
}
