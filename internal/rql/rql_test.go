package rql_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

func cmp(op, property, value string) rql.Expr {
	return rql.Call(op, rql.Val(property), rql.Val(value))
}

func in(property string, values ...string) rql.Expr {
	return rql.Call("in", rql.Val(property), rql.Vals(values...))
}

func constant(op, property string, c rql.Arg) rql.Expr { return rql.Call(op, rql.Val(property), c) }

func limit(start, count string) rql.Expr {
	return rql.Call("limit", rql.Val(start), rql.Val(count))
}

func sortBy(p string) rql.Expr { return rql.Call("sort", rql.Val(p)) }

// The queries are those of commerce/WIRE.md#2.2 to commerce/WIRE.md#2.7 and connect/WIRE.md#3, as
// they go on the wire.
func TestKnownQueries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		dialect rql.Dialect
		sep     string
		terms   []rql.Expr
		want    string
	}{
		{"find an order by number", rql.APS, ",",
			[]rql.Expr{cmp("like", "orderNumber", "SO000099"), rql.Call("select", rql.Val("orderDetails"))},
			"like(orderNumber,SO000099),select(orderDetails)"},
		{"find an order by the end of its number", rql.APS, ",",
			[]rql.Expr{cmp("like", "orderNumber", "*CL000058")}, "like(orderNumber,*CL000058)"},
		{"the newest orders of an account", rql.APS, ",",
			[]rql.Expr{in("type", "SO", "CF", "CH", "CL", "DG", "UG", "RN", "TA", "TS"), sortBy("-orderDate"), limit("0", "40")},
			"in(type,(SO,CF,CH,CL,DG,UG,RN,TA,TS)),sort(-orderDate),limit(0,40)"},
		{"orders by status and type", rql.APS, ",",
			[]rql.Expr{in("status", "PF"), in("type", "SO", "CH"), sortBy("-orderDate"), limit("0", "100")},
			"in(status,(PF)),in(type,(SO,CH)),sort(-orderDate),limit(0,100)"},
		{"reserved characters of a value are encoded", rql.APS, "&",
			[]rql.Expr{cmp("eq", "a", "b c"), cmp("ge", "orderDate", "2026-11-01T00:00:00Z"), cmp("like", "x", "a,b")},
			"eq(a,b%20c)&ge(orderDate,2026-11-01T00%3A00%3A00Z)&like(x,a%2Cb)"},
		{"all reserved characters of APS", rql.APS, ",",
			[]rql.Expr{cmp("eq", "a", " !#%&'(),=;[]+\"é")},
			"eq(a,%20%21%23%25%26%27%28%29%2C%3D%3B%5B%5D%2B%22%C3%A9)"},
		{"what other parsers of APS's RQL read as operators", rql.APS, ",",
			[]rql.Expr{in("a", "b:c/d~e", "~", "a-b.c_d*")}, "in(a,(b%3Ac%2Fd%7Ee,%7E,a-b.c_d*))"},
		{"an APS type", rql.APS, ",",
			[]rql.Expr{rql.Call("implementing", rql.Val("http://parallels.com/aps/types/pa/poa/1.0"))},
			"implementing(http%3A%2F%2Fparallels.com%2Faps%2Ftypes%2Fpa%2Fpoa%2F1.0)"},
		{"the plus of a sort is structure", rql.APS, ",", []rql.Expr{sortBy("+orderDate")}, "sort(+orderDate)"},
		{"the constants of APS", rql.APS, ",", []rql.Expr{constant("ne", "a", rql.Empty())}, "ne(a,empty())"},
		{"texts of APS that look like constants", rql.APS, ",",
			[]rql.Expr{cmp("ne", "a", "empty()"), in("b", "null()")}, "ne(a,empty%28%29),in(b,(null%28%29))"},
		{"how the connector follows an order", rql.Connect, "&",
			[]rql.Expr{
				rql.Call("select", rql.Val("-asset.configuration")),
				rql.Call("and", rql.Sub(cmp("eq", "asset.external_uid", "1c378bdd-9c8a-4566-be8a-bd90a51aa42a")),
					rql.Sub(cmp("eq", "type", "purchase")), rql.Sub(in("status", "failed", "pending"))),
				rql.Call("ordering", rql.Val("-created")),
				cmp("eq", "limit", "1"), cmp("eq", "offset", "0"),
			},
			"select(-asset.configuration)&and(eq(asset.external_uid,1c378bdd-9c8a-4566-be8a-bd90a51aa42a)," +
				"eq(type,purchase),in(status,(failed,pending)))&ordering(-created)&limit=1&offset=0"},
		{"wildcards and a literal star", rql.Connect, "&",
			[]rql.Expr{cmp("ilike", "name", "*acme*"), cmp("like", "name", `a\*`)},
			`ilike(name,*acme*)&like(name,a%5C*)`},
		{"the constants of Connect", rql.Connect, "&", []rql.Expr{constant("eq", "assignee", rql.Null())},
			"eq(assignee,null())"},
		{"constants in a list of Connect", rql.Connect, "&",
			[]rql.Expr{constant("in", "a", rql.Arg{List: []rql.Arg{rql.Null(), rql.Val("b"), rql.Empty()}})},
			"in(a,(null(),b,empty()))"},
		{"texts of Connect that look like constants", rql.Connect, "&",
			[]rql.Expr{cmp("eq", "a", "null()"), in("b", "c", "empty()")},
			"eq(a,%22null%28%29%22)&in(b,(c,%22empty%28%29%22))"},
		{"the keyword of tuples as a value", rql.Connect, "&",
			[]rql.Expr{cmp("eq", "a", "t"), in("b", "T", "t", "tt"), rql.Call("ordering", rql.Val("-t")),
				rql.Call("select", rql.Val("t"))},
			"eq(a,%22t%22)&in(b,(T,%22t%22,tt))&ordering(-t)&select(t)"},
		{"a tuple", rql.Connect, "&",
			[]rql.Expr{rql.Call("t", rql.Sub(cmp("eq", "a", "b")), rql.Sub(cmp("ilike", "c", "*d*")))},
			"t(eq(a,b),ilike(c,*d*))"},
		{"t elsewhere", rql.APS, ",", []rql.Expr{cmp("eq", "t", "t"), in("t", "t")}, "eq(t,t),in(t,(t))"},
		{"a value that must be quoted", rql.Connect, "&", []rql.Expr{cmp("eq", "name", "a (b), c & d=50%")},
			"eq(name,%22a%20%28b%29%2C%20c%20%26%20d%3D50%25%22)"},
		{"a value with double quotes", rql.Connect, "&", []rql.Expr{cmp("eq", "name", `5" pipe`)},
			"eq(name,%275%22%20pipe%27)"},
		{"the empty value of Connect", rql.Connect, "&", []rql.Expr{cmp("eq", "name", "")}, "eq(name,%22%22)"},
		{"a negation", rql.Connect, "&", []rql.Expr{rql.Call("not", rql.Sub(cmp("eq", "a", "b")))}, "not(eq(a,b))"},
		{"plus is never left to be read as a blank", rql.Connect, "&",
			[]rql.Expr{cmp("ge", "created", "2026-01-02T10:02:00+00:00"), rql.Call("ordering", rql.Val("+id"))},
			"ge(created,2026-01-02T10:02:00%2B00:00)&ordering(%2Bid)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := rql.Format(tc.dialect, tc.sep, tc.terms...)
			require.NoError(t, err)
			if tc.dialect == rql.Connect {
				got = rql.Escape(got)
			}
			require.Equal(t, tc.want, got)

			// It must go through a URL untouched, and come back as it was.
			u, err := url.Parse("https://host/orders?" + got)
			require.NoError(t, err)
			require.Equal(t, got, u.RawQuery)
			query := u.RawQuery
			if tc.dialect == rql.Connect {
				query, err = url.PathUnescape(query)
				require.NoError(t, err)
			}
			back, err := rql.Parse(tc.dialect, query)
			require.NoError(t, err)
			require.Equal(t, tc.terms, back)
		})
	}
}

func TestFormatText(t *testing.T) {
	t.Parallel()
	got, err := rql.Format(rql.Text, ",",
		cmp("like", "reason", `*said "no"*`), cmp("eq", "customer", "O'Brien & Söhne"), cmp("eq", "x", ""),
		rql.Call("or", rql.Sub(cmp("eq", "a", "Zażółć")), rql.Sub(cmp("eq", "b", "two\nlines"))), rql.Call("everything"))
	require.NoError(t, err)
	require.Equal(t, `like(reason,"*said ""no""*"),eq(customer,"O'Brien & Söhne"),eq(x,""),`+
		"or(eq(a,Zażółć),eq(b,\"two\nlines\")),everything()", got)
}

func TestFormatErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		dialect rql.Dialect
		term    rql.Expr
		want    string
	}{
		{"an operator that is none", rql.Text, rql.Call("a b"), `"a b" is not an operator`},
		{"a constant as an expression", rql.Text, rql.Call("null"), "null() is a value"},
		{"a property that is none", rql.APS, cmp("eq", "a(b", "c"), `"a(b" in eq is not a property`},
		{"a comparison without a value", rql.APS, rql.Call("eq", rql.Val("a")), "not 1 arguments"},
		{"a list where a value belongs", rql.APS, rql.Call("eq", rql.Val("a"), rql.Vals("b")), "takes a value"},
		{"a value where a list belongs", rql.APS, cmp("in", "a", "b"), "a list of at least one value"},
		{"an empty list", rql.Connect, in("a"), "a list of at least one value"},
		{"an and of one term for Connect", rql.Connect, rql.Call("and", rql.Sub(cmp("eq", "a", "b"))), "and needs two terms"},
		{"an or of nothing", rql.Text, rql.Call("or"), "or needs a term"},
		{"an and of values", rql.Text, rql.Call("and", rql.Val("a")), "and takes expressions"},
		{"a not of two", rql.Text, rql.Call("not", rql.Sub(cmp("eq", "a", "b")), rql.Sub(cmp("eq", "a", "b"))),
			"not takes one expression, not 2"},
		{"a not of logic for Connect", rql.Connect, rql.Call("not", rql.Sub(rql.Call("not", rql.Sub(cmp("eq", "a", "b"))))),
			"push the negation down"},
		{"both kinds of quotes for Connect", rql.Connect, cmp("eq", "a", `'"`), "both kinds of quotes"},
		{"an empty value for APS", rql.APS, cmp("eq", "a", ""), "use empty()"},
		{"a sort by something else", rql.APS, rql.Call("sort", rql.Val("a,b")), `not "a,b"`},
		{"an ordering inside an and", rql.Connect, rql.Call("and", rql.Sub(rql.Call("ordering", rql.Val("a"))),
			rql.Sub(cmp("eq", "a", "b"))), "a term of its own"},
		{"an argument of two kinds", rql.Text, rql.Call("f", rql.Arg{Value: "a", List: []rql.Arg{}}), "more than one of"},
		{"a list of lists", rql.Text, rql.Call("f", rql.Arg{List: []rql.Arg{rql.Vals("a")}}), "something else than values"},
		{"a constant that is none", rql.Text, rql.Call("f", rql.Arg{Value: "a", Constant: true}), "not a constant"},
		{"a limit that needs quotes", rql.Connect, cmp("eq", "limit", "5 "), "a number without quotes"},
		{"an offset inside of a term", rql.Connect, rql.Call("and", rql.Sub(cmp("eq", "offset", "")),
			rql.Sub(cmp("eq", "a", "b"))), "a number without quotes"},
		{"two wildcards in a row", rql.Connect, cmp("like", "a", "**b*"), "like takes no **"},
		{"two wildcards after a backslash", rql.Connect, cmp("ilike", "a", `b\\**`), "ilike takes no **"},
		{"a property that is a keyword of Connect", rql.Connect, cmp("eq", "t", "a"), "t is a keyword of Connect"},
		{"a list on a keyword of Connect", rql.Connect, in("t", "a"), "t is a keyword of Connect"},
		{"a tuple of values", rql.Connect, rql.Call("t", rql.Val("a")), "t takes comparisons"},
		{"a tuple of a list", rql.Connect, rql.Call("t", rql.Sub(in("a", "b"))), "t takes comparisons"},
		{"too deep", rql.Text, deep(65), "more than 64 levels deep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := rql.Format(tc.dialect, "&", tc.term)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "rql: ")
		})
	}
	_, err := rql.Format(rql.Text, ";", cmp("eq", "a", "b"))
	require.ErrorContains(t, err, "does not join terms")
}

func deep(levels int) rql.Expr {
	e := cmp("eq", "a", "b")
	for range levels - 1 {
		e = rql.Call("not", rql.Sub(e))
	}
	return e
}

func TestParseShortForms(t *testing.T) {
	t.Parallel()
	ab, cd := cmp("eq", "a", "b"), cmp("ge", "c", "d")
	for _, tc := range []struct {
		dialect rql.Dialect
		query   string
		want    []rql.Expr
	}{
		{rql.Connect, "a=b&c=ge=d", []rql.Expr{ab, cd}},
		{rql.APS, "a=b,c=ge=d", []rql.Expr{ab, cd}},
		{rql.Text, " a = b , c = ge=d ", []rql.Expr{ab, cd}},
		{rql.Text, "a=in=(x, y z)", []rql.Expr{in("a", "x", "y z")}},
		{rql.Connect, "(a=b|c=ge=d)", []rql.Expr{rql.Call("or", rql.Sub(ab), rql.Sub(cd))}},
		{rql.Connect, "(a=b;c=ge=d)", []rql.Expr{rql.Call("or", rql.Sub(ab), rql.Sub(cd))}},
		{rql.Connect, "(a=b&c=ge=d)", []rql.Expr{rql.Call("and", rql.Sub(ab), rql.Sub(cd))}},
		{rql.Connect, "((a=b))", []rql.Expr{ab}},
		{rql.Connect, "limit=10&offset=20", []rql.Expr{cmp("eq", "limit", "10"), cmp("eq", "offset", "20")}},
		{rql.Connect, "eq(a,two words)", []rql.Expr{cmp("eq", "a", "two words")}},
		{rql.Connect, "a=ge", []rql.Expr{cmp("eq", "a", "ge")}},
		{rql.Connect, "eq(a,null())", []rql.Expr{constant("eq", "a", rql.Null())}},
		{rql.Connect, `eq(a,"null()")`, []rql.Expr{cmp("eq", "a", "null()")}},
		{rql.Connect, `eq(a,'t')`, []rql.Expr{cmp("eq", "a", "t")}},
		{rql.Text, `in(a,(null(),"null()",t))`,
			[]rql.Expr{constant("in", "a", rql.Arg{List: []rql.Arg{rql.Null(), rql.Val("null()"), rql.Val("t")}})}},
		{rql.APS, "in(a,(null%28%29,empty()))",
			[]rql.Expr{constant("in", "a", rql.Arg{List: []rql.Arg{rql.Val("null()"), rql.Empty()}})}},
		{rql.Text, "like(reason, *timed out* )", []rql.Expr{cmp("like", "reason", "*timed out*")}},
		{rql.Text, "", nil},
		{rql.Text, " \n", nil},
	} {
		t.Run(tc.query, func(t *testing.T) {
			t.Parallel()
			got, err := rql.Parse(tc.dialect, tc.query)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dialect     rql.Dialect
		query, want string
	}{
		{rql.Text, "eq(a,b", `byte 6: expected "," or ")", found the end`},
		{rql.Text, "eq(a,b))", `byte 7: expected "," or "&" or the end, found ")"`},
		{rql.Text, "a", `byte 1: expected "(" or "=" after "a", found the end`},
		{rql.Text, "a=b,", "byte 4: expected a term"},
		{rql.Text, "a=", "byte 2: expected a value, found the end"},
		{rql.Text, "a=b|c=d", "byte 3: an or must be in brackets"},
		{rql.Text, "(a=b|c=d&e=f)", "byte 8: and and or are mixed"},
		{rql.Text, `eq(a,"b`, "byte 5: the quote is not closed"},
		{rql.Text, "in(a,())", "byte 0: in(a,…) takes a list of at least one value"},
		{rql.Text, "x=1,in(a,b)", "byte 4: in(a,…) takes a list"},
		{rql.Text, "eq(a,f(b))", "byte 0: eq(a,…) takes a value"},
		{rql.Text, "a.b(c)", `byte 0: "a.b" is not an operator`},
		{rql.Text, "and(a)", `byte 5: expected "(" or "=" after "a"`},
		{rql.Connect, "eq(a,b/c)", `byte 6: expected "," or ")", found "/"`},
		{rql.Connect, "eq(a,/c)", "byte 5: expected a value (one that starts with"},
		{rql.Connect, "eq(a,'b)", "byte 5: the quote is not closed"},
		{rql.Connect, `a=b&limit="5"`, "byte 4: limit and offset take a number without quotes"},
		{rql.Connect, "eq(limit,'5')", "byte 0: limit and offset take a number without quotes"},
		{rql.Connect, `and(eq(offset,"5"),limit=1)`, "byte 4: limit and offset take a number without quotes"},
		{rql.Connect, `like(a,"**b")`, "byte 0: like takes no ** in the Connect dialect"},
		{rql.APS, `limit("5")`, "byte 6: expected a value (reserved"},
		{rql.Connect, "eq(a,t)", "byte 5: t is a keyword of Connect"},
		{rql.Connect, "a=t", "byte 2: t is a keyword of Connect"},
		{rql.Connect, "in(a,(b,t))", "byte 8: t is a keyword of Connect"},
		{rql.Connect, "t=a", "byte 0: t is a keyword of Connect"},
		{rql.Connect, "and(a=b,in(t,(b)))", "byte 11: t is a keyword of Connect"},
		{rql.Connect, "eq(a,t(eq(b,c)))", "byte 0: eq(a,…) takes a value"},
		{rql.Connect, "t(a)", "byte 0: t takes comparisons"},
		{rql.Connect, "and(eq(a,b))", "byte 0: and needs two terms"},
		{rql.Connect, "x=1&and(y=2,select(a))", "byte 12: select must be a term of its own"},
		{rql.APS, "eq(a,%zz)", `byte 5: invalid URL escape "%zz"`},
		{rql.APS, "eq(a,b c)", `byte 6: expected "," or ")", found " "`},
		{rql.APS, "eq(a,)", "byte 5: expected a value (reserved"},
		{rql.Text, strings.Repeat("(", 100), "byte 64: more than 64 levels deep"},
	} {
		t.Run(tc.query, func(t *testing.T) {
			t.Parallel()
			_, err := rql.Parse(tc.dialect, tc.query)
			require.ErrorContains(t, err, "rql: "+tc.want)
		})
	}
	_, err := rql.Parse(rql.Text, "a="+strings.Repeat("b", 16<<20))
	require.ErrorContains(t, err, "more than 16777216")
}

// value draws any string that the dialect can write.
func value(d rql.Dialect) *rapid.Generator[string] {
	all := rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.RuneFrom([]rune("aZ0 *\\()=,&|;:%+'\"\n/é"))),
		rapid.SampledFrom([]string{"null()", "empty()", "t", "PF", "2026-11-01T00:00:00Z", "*timed out*"}))
	return all.Filter(func(s string) bool {
		switch d {
		case rql.Connect:
			return !strings.Contains(s, `"`) || !strings.Contains(s, `'`)
		case rql.APS:
			return s != ""
		default:
			return true
		}
	})
}

// operand draws a value or a constant.
func operand(d rql.Dialect) *rapid.Generator[rql.Arg] {
	return rapid.OneOf(rapid.Map(value(d), rql.Val), rapid.SampledFrom([]rql.Arg{rql.Null(), rql.Empty()}))
}

func expr(d rql.Dialect, depth int) *rapid.Generator[rql.Expr] {
	return rapid.Custom(func(t *rapid.T) rql.Expr {
		property := rapid.StringMatching(`[A-Za-z][A-Za-z0-9_.-]{0,6}`).
			Filter(func(s string) bool { return s != "t" || d != rql.Connect }).Draw(t, "property")
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 {
			kind %= 3
		}
		switch kind {
		case 0:
			op := rapid.SampledFrom([]string{"eq", "ne", "gt", "ge", "lt", "le", "like", "ilike"}).Draw(t, "op")
			return constant(op, property, operand(d).Filter(func(a rql.Arg) bool {
				return d != rql.Connect || !strings.Contains(a.Value, "**") || !strings.HasSuffix(op, "like")
			}).Draw(t, "value"))
		case 1:
			op := rapid.SampledFrom([]string{"in", "out"}).Draw(t, "op")
			return constant(op, property, rql.Arg{List: rapid.SliceOfN(operand(d), 1, 4).Draw(t, "values")})
		case 2:
			return rql.Call("during", rql.Val(value(d).Draw(t, "value")),
				rql.Vals(rapid.SliceOfN(value(d), 0, 3).Draw(t, "values")...))
		case 3:
			return rql.Call("not", rql.Sub(expr(d, 0).Draw(t, "term")))
		default:
			e := rql.Expr{Op: rapid.SampledFrom([]string{"and", "or"}).Draw(t, "op")}
			for range rapid.IntRange(2, 4).Draw(t, "terms") {
				e.Args = append(e.Args, rql.Sub(expr(d, depth-1).Draw(t, "term")))
			}
			return e
		}
	})
}

func TestParseReadsFormattedQueries(t *testing.T) {
	t.Parallel()
	for _, d := range []rql.Dialect{rql.Text, rql.Connect, rql.APS} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				terms := rapid.SliceOfN(expr(d, 2), 1, 4).Draw(t, "terms")
				query, err := rql.Format(d, rapid.SampledFrom([]string{",", "&"}).Draw(t, "sep"), terms...)
				require.NoError(t, err)
				if d == rql.Connect {
					unescaped, err := url.PathUnescape(rql.Escape(query))
					require.NoError(t, err)
					require.Equal(t, query, unescaped)
				}
				back, err := rql.Parse(d, query)
				require.NoError(t, err, "%s", query)
				require.Equal(t, terms, back, "%s", query)
			})
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, query := range []string{
		"in(status,(PF,LO)),sort(-orderDate),limit(0,100)", "(a=b|c=ge=d)&limit=1", `not(eq(a,"b ""c"""))`,
		"eq(a,%20)", "ne(x,empty())", "f()", "((((a=b))))", "eq(é,ü)",
	} {
		for d := range 3 {
			f.Add(d, query)
		}
	}
	f.Fuzz(func(t *testing.T, dialect int, query string) {
		d := rql.Dialect(((dialect % 3) + 3) % 3)
		terms, err := rql.Parse(d, query)
		if err != nil {
			return
		}
		written, err := rql.Format(d, "&", terms...)
		if err != nil {
			t.Fatalf("%s %q was read but cannot be written: %v", d, query, err)
		}
		back, err := rql.Parse(d, written)
		if err != nil {
			t.Fatalf("%s %q was written as %q: %v", d, query, written, err)
		}
		require.Equal(t, terms, back)
	})
}
