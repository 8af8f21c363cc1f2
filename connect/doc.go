// Package connect is CloudBlue Connect as a program next to Commerce sees it: when it
// is under maintenance, and what became of the fulfillment requests.
//
// # Windows
//
// Connect announces its maintenance to people, not in its API (facts/connect.md 0.4),
// so that the operator supplies the windows, in code or in a file:
//
//	calendar, err := connect.LoadCalendarFile("windows.json")
//	if err != nil {
//		return err
//	}
//	if window, ok := calendar.WithMargins(0, 10*time.Minute).At(order.FailedAt); ok {
//		fmt.Println("failed during", window)
//	}
//
// A [Calendar] holds single windows and weekly ones. It answers which window holds at
// an instant, which are in a range, which comes next and which ended last. It is
// immutable and safe for concurrent use.
//
// Zones are IANA names. They need time zone data: that of the machine, or that of
// the program if it has import _ "time/tzdata". The package does not import it,
// since it adds some 450 KB that most machines have already.
//
// Errors name the file, the place in it, what is wrong and what to do, in one line.
package connect
