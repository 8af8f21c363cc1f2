package billing

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// record is one line of a text, or several if a quoted CSV field spans them.
type record struct {
	line   int
	fields []string
}

// ReadOrderRefs reads the ids and numbers of orders from a text, which is one of:
//
//   - ids, one per line;
//   - a CSV export of the panel, separated by commas, semicolons or tabs, whose header names a
//     column of ids: "OrderID", "Order ID" or "ID";
//   - output of psql, with or without header, rule and row count, which must agree with the
//     rows: " 1000027 | SO000027 | PF".
//
// Without a header, ids are in the first column, and order numbers may be in the second. A
// header may also name a column of order numbers ("OrderNumber", "Order Number" or "Number")
// and one of subscriptions ("SubscriptionID", "Subscription ID" or "Subscription"). Empty
// lines are skipped. An error names the line.
func ReadOrderRefs(r io.Reader) ([]OrderRef, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	t := table{file: nameOf(r)}
	records, err := split(in)
	if err != nil {
		return nil, t.at(1, err)
	}
	for rec, err := range records {
		if err == nil {
			err = t.add(rec)
		}
		if err != nil {
			return nil, t.at(rec.line, err)
		}
	}
	return t.lines, nil
}

// nameOf returns the name of a file.
func nameOf(r io.Reader) string {
	if f, ok := r.(interface{ Name() string }); ok {
		return f.Name()
	}
	return ""
}

// split detects the format of the text from its first line.
func split(in *bufio.Reader) (iter.Seq2[record, error], error) {
	start, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		return nil, errors.New("the text is UTF-16: save it as UTF-8")
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(start, mark) {
		if _, err := in.Discard(len(mark)); err != nil {
			return nil, err
		}
		start = start[len(mark):]
	}
	first, _, _ := bytes.Cut(bytes.TrimLeft(start, " \t\r\n"), []byte("\n"))
	if bytes.Contains(first, []byte("|")) {
		return pipes(in), nil
	}
	for _, separator := range ";\t" {
		if bytes.ContainsRune(first, separator) {
			return commas(in, separator), nil
		}
	}
	return commas(in, ','), nil
}

// pipes parses output of psql.
func pipes(in *bufio.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		n := 0
		for lines.Scan() {
			n++
			if strings.TrimSpace(lines.Text()) == "" {
				continue
			}
			if !yield(record{n, strings.Split(lines.Text(), "|")}, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(record{line: n + 1}, err)
		}
	}
}

// commas parses CSV; plain lines are its simplest form.
func commas(in *bufio.Reader, separator rune) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		r := csv.NewReader(in)
		r.Comma, r.FieldsPerRecord = separator, -1
		r.TrimLeadingSpace = separator != '\t'
		for {
			fields, err := r.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if e, ok := errors.AsType[*csv.ParseError](err); ok {
				yield(record{line: e.Line}, fmt.Errorf("column %d: %w", e.Column, e.Err))
				return
			}
			if err != nil {
				yield(record{line: 1}, err)
				return
			}
			line, _ := r.FieldPos(0)
			if !yield(record{line, fields}, nil) {
				return
			}
		}
	}
}

// table converts records to lines.
type table struct {
	file    string
	begun   bool
	id      int // the column of ids, -1 for none
	number  int // the column of numbers, -1 for none
	belongs int // the column of subscriptions, -1 for none
	columns int
	header  bool // the record before was the header
	ended   bool // by a count
	lines   []OrderRef
}

func (t *table) where(line int) string {
	if t.file != "" {
		return t.file + ":" + strconv.Itoa(line)
	}
	return "line " + strconv.Itoa(line)
}

func (t *table) at(line int, err error) error { return fmt.Errorf("%s: %w", t.where(line), err) }

func (t *table) add(rec record) error {
	for i := range rec.fields {
		rec.fields[i] = strings.TrimSpace(rec.fields[i])
	}
	header := t.header
	t.header = false
	switch {
	case len(rec.fields) == 1 && rec.fields[0] == "":
		return nil
	case t.ended:
		return errors.New("something follows the count of rows, which ends a table")
	case !t.begun:
		return t.begin(rec)
	case header && isRule(rec.fields):
		return nil
	}
	if rows, ok := countOf(rec.fields); ok {
		t.ended = true
		if rows != len(t.lines) {
			return fmt.Errorf("the text says that it has %d rows, but it has %d: is it cut?", rows, len(t.lines))
		}
		return nil
	}
	return t.row(rec)
}

// begin reads the first record: the header, or a row if there is none.
func (t *table) begin(rec record) error {
	t.begun, t.columns = true, len(rec.fields)
	t.id, t.number, t.belongs = -1, -1, -1
	for i, field := range rec.fields {
		column, what := &t.id, "ids"
		switch columnName(field) {
		case "orderid", "id":
		case "ordernumber", "number":
			column, what = &t.number, "numbers"
		case "subscriptionid", "subscription":
			column, what = &t.belongs, "subscriptions"
		default:
			continue
		}
		if *column >= 0 {
			return fmt.Errorf("columns %d and %d are both named as %s: leave one", *column+1, i+1, what)
		}
		*column = i
	}
	if t.header = t.id >= 0 || t.number >= 0; t.header {
		return nil
	}
	switch first := rec.fields[0]; {
	case isDigits(first):
		t.id = 0
		if len(rec.fields) > 1 && isNumber(rec.fields[1]) {
			t.number = 1
		}
	case isNumber(first):
		t.number = 0
	default:
		return fmt.Errorf("%q is neither an order's id nor the name of a column of them: name it OrderID", clip(first))
	}
	return t.row(rec)
}

func (t *table) row(rec record) error {
	if len(rec.fields) != t.columns {
		return fmt.Errorf("expected %d columns as in the first line, found %d", t.columns, len(rec.fields))
	}
	field := func(column int) string {
		if column < 0 {
			return ""
		}
		return rec.fields[column]
	}
	l := OrderRef{Where: t.where(rec.line), ID: field(t.id), Number: field(t.number), Subscription: field(t.belongs)}
	switch {
	case strings.ContainsAny(l.Subscription, " ,;|"):
		return fmt.Errorf("%q is not one subscription: give an order of several a line for each", clip(l.Subscription))
	case t.id < 0 && l.Number == "":
		return errors.New("there is no number")
	case t.id >= 0 && isNumber(l.ID):
		l.ID, l.Number = "", l.ID // a list of ids with a number in between
	case t.id >= 0:
		if _, err := orderID(l.ID); err != nil {
			return err
		}
	}
	t.lines = append(t.lines, l)
	return nil
}

// columnName normalizes the spelling of a name: "Order ID", "order_id".
func columnName(s string) string {
	return strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(s))
}

// isRule reports whether fields are the rule below a header: "-----+-----".
func isRule(fields []string) bool {
	return len(fields) == 1 && fields[0] != "" && strings.Trim(fields[0], "-+") == ""
}

// countOf parses "(3 rows)".
func countOf(fields []string) (int, bool) {
	if len(fields) != 1 || !strings.HasPrefix(fields[0], "(") {
		return 0, false
	}
	count, unit, _ := strings.Cut(strings.Trim(fields[0], "()"), " ")
	n, err := number.Atoi(count)
	return n, err == nil && (unit == "rows" || unit == "row")
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isNumber reports whether s looks like an order number: letters, then digits.
func isNumber(s string) bool {
	digits := strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	return digits != s && isDigits(digits)
}
