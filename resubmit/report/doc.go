// Package report renders the report of a run.
//
//	result, err := runner.Apply(ctx, p)
//	fmt.Print(report.Text(result))
//
// It only reads the report: nothing is called, and the functions are safe for concurrent use.
package report
