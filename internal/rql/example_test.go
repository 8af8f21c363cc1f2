package rql_test

import (
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

func ExampleFormat() {
	term := rql.Call("eq", rql.Val("name"), rql.Val("Smith & Sons"))
	for _, d := range []rql.Dialect{rql.Text, rql.Connect, rql.APS} {
		query, err := rql.Format(d, "&", term)
		fmt.Println(d, query, err)
	}
	// Output:
	// Text eq(name,"Smith & Sons") <nil>
	// Connect eq(name,"Smith & Sons") <nil>
	// APS eq(name,Smith%20%26%20Sons) <nil>
}

func ExampleParse() {
	terms, err := rql.Parse(rql.Text, `status=PF & (type=SO | like(reason,*timed out*))`)
	if err != nil {
		fmt.Println(err)
		return
	}
	query, err := rql.Format(rql.Text, ",", terms...)
	fmt.Println(query, err)
	_, err = rql.Parse(rql.Text, "in(status,PF)")
	fmt.Println(err)
	// Output:
	// eq(status,PF),or(eq(type,SO),like(reason,"*timed out*")) <nil>
	// rql: byte 0: in(status,…) takes a list of at least one value, such as (a,b)
}
