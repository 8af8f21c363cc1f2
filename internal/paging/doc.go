// Package paging reads a list in pages by position, without missing rows while others
// appear and leave.
//
//	for w := paging.New(100); !w.Done(); {
//		rows, err := read(w.Start(), w.Size())
//		…
//		for _, i := range w.Take(idsAndKeys(rows), paging.Unknown) {
//			use(rows[i])
//		}
//		if err := w.Err(); err != nil {
//			return err
//		}
//	}
//
// A [Walk] is not safe for concurrent use.
package paging
