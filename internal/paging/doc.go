// Package paging walks a list that can be read in pages only, by position, while
// rows come and go.
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
// A [Walk] is for one goroutine.
package paging
