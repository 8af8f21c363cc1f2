// Package report makes the report of a plan: what failed and why, what was resubmitted, what became of it, and what
// remains to do and for whom.
//
//	result, err := runner.Apply(ctx, p)
//	d, docErr := report.New(report.Input{Plan: p, Report: result, Location: time.Local})
//	if docErr != nil {
//		return docErr
//	}
//	fmt.Print(d.Text())
//	fmt.Println(d.Chart().Line(80, false))
//	err = errors.Join(err, d.WriteHTML(file))
//
// [New] joins the orders of the plan with their results in one pass. A plan that was not applied yet has a [Document],
// too. The document is written as text for a terminal, as JSON, as CSV with one line per order, and as an HTML page in
// one file, without scripts, for people who were not there. [Read] reads the JSON again, and all other forms can be
// made of it.
//
// The [Chart] shows the failed orders over time, together with the maintenance as announced and as observed, and what
// was sent and verified. Order Management does not tell when an order failed (inferred, resubmit/SAFETY.md#f18).
// Then the orders are shown by when they were placed, and the chart says so.
//
// Texts of servers are in the JSON as they are. All other forms show them on one line, bounded, and without control
// characters.
//
// Nothing is called. Errors are one line, and are those of reading the plan and of writing.
package report
