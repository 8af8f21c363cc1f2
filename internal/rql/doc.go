// Package rql builds and parses RQL, the query language of CloudBlue's APIs.
//
// Three dialects differ in how values are written, not in structure: [APS] (Commerce), [Connect],
// and [Text], the form of filters for users.
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
// [Parse] returns the expressions that [Format] wrote. Both reject what servers reject: a bad
// property name, an empty list, "and" and "or" with too few terms. Errors of Parse name the byte
// offset. There is no state, so all functions are safe for concurrent use.
package rql
