package sandbox

import (
	"encoding/csv"
	"errors"
	"os"
)

// Export writes a CSV file as an operator would export it from the panel, with the orders that failed because Connect
// did not answer. It returns their number.
func (w *World) Export(path string) (n int, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := csv.NewWriter(f)
	rows := [][]string{{"Order ID", "Order Number", "Status", "Subscription ID"}}
	for _, o := range w.Commerce.Orders() {
		if Cause(o) == Transient {
			rows = append(rows, []string{o.BillingID, o.Number, string(o.Status), o.Subscription})
		}
	}
	return len(rows) - 1, out.WriteAll(rows)
}
