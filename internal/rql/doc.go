// Package rql builds and parses RQL, the query language of CloudBlue's APIs.
//
// Three dialects differ in how a value is written, not in structure:
// [APS] (Commerce), [Connect], and [Text], the form in which this library shows
// filters to people and reads them back.
//
//	q, err := rql.Format(rql.APS, ",",
//		rql.Call("in", rql.Val("status"), rql.Vals("PF", "LO")),
//		rql.Call("sort", rql.Val("-orderDate")),
//		rql.Call("limit", rql.Val("0"), rql.Val("100")))
//	// q is in(status,(PF,LO)),sort(-orderDate),limit(0,100)
//	request.URL.RawQuery = q
//
//	q, err = rql.Format(rql.Connect, "&", terms...)
//	request.URL.RawQuery = rql.Escape(q)
//
//	terms, err := rql.Parse(rql.Text, `like(reason,"*timed out*"),ge(placed,2026-11-01)`)
//
// [Format] and [Parse] are each other's inverse: what Format writes, Parse reads
// as the same expressions. Both refuse what the servers refuse (a bad property
// name, an empty list, and and or of too few terms) with an error of one line;
// those of Parse name the byte offset. Nothing here keeps state, so everything
// may be used concurrently.
package rql
