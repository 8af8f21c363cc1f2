package report_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// examplePlan is a plan of two orders.
func examplePlan() *plan.Plan {
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Header{CreatedAt: at("02:55:00")})
	if err != nil {
		log.Fatal(err)
	}
	for n := range 2 {
		e := entryAt(n+1, at("01:00:00").Add(time.Duration(n)*10*time.Minute), failure.Transient)
		e.Decision = rules.Decision{Action: rules.Resubmit, RuleID: "transient", Why: "the connection failed"}
		if err := w.Write(&e); err != nil {
			log.Fatal(err)
		}
	}
	if _, _, err := w.Close(); err != nil {
		log.Fatal(err)
	}
	p, err := plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		log.Fatal(err)
	}
	return p
}

func ExampleNew() {
	p := examplePlan()
	result := reportOf(p, protocol.Completed, protocol.FailedAgain) // of Runner.Apply
	d, err := report.New(report.Input{Plan: p, Report: result, Command: "recover"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(d.Text())
	// Output:
	// 1 of 2 orders verified. 1 failed again.
	// 2 orders failed, placed 2026-11-21 01:00–01:10 UTC. No maintenance is known in this time. 2 transient. 1 verified by 03:30, 1 failed again, 1 wait for a person.
	//   1 failed again (transient): no reason reported
	// waiting: 1 order (1 without a known one), 1 without a known total
	// next: 1 order failed again: look at the reasons before you make a new plan
	//       recover show SO2
}

func ExampleChart_Line() {
	d, err := report.New(report.Input{Plan: examplePlan(), Now: at("03:00:00")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Chart().Line(80, false))
	fmt.Println(d.Chart().Line(80, true))
	// Output:
	// 00:49 ···········█·········█··········· 01:22 UTC  max 1 per 1 min
	// 00:49            @         @            01:22 UTC  max 1 per 1 min
}

func ExampleDocument_WriteCSV() {
	d, err := report.New(report.Input{Plan: examplePlan()})
	if err != nil {
		log.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.WriteCSV(&b); err != nil {
		log.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range lines {
		fmt.Println(line[0], line[10], line[15])
	}
	// Output:
	// number placed at action
	// SO1 2026-11-21T01:00:00Z resubmit
	// SO2 2026-11-21T01:10:00Z resubmit
}
