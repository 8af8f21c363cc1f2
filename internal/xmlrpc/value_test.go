package xmlrpc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

func read(value string, fn func(v *xmlrpc.Value) error) error {
	return xmlrpc.DecodeResponse(strings.NewReader(answer(value)), xmlrpc.DecodeOptions{}, fn)
}

func TestKindTellsWhatComes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]xmlrpc.Kind{
		"<nil/>": xmlrpc.Nil, "<i4>1</i4>": xmlrpc.Int, "<bigint>1</bigint>": xmlrpc.Int, "<double>1</double>": xmlrpc.Double,
		"<boolean>1</boolean>": xmlrpc.Boolean, "": xmlrpc.String, "x": xmlrpc.String, "<string/>": xmlrpc.String,
		"<dateTime.iso8601/>": xmlrpc.DateTime, "<base64/>": xmlrpc.Base64, "<array><data/></array>": xmlrpc.Array,
		"<struct/>": xmlrpc.Struct,
		"<foo/>":    xmlrpc.Invalid,
	} {
		err := read("<value>"+value+"</value>", func(v *xmlrpc.Value) error {
			require.Equal(t, want, v.Kind())
			require.Equal(t, want, v.Kind(), "it may be asked again")
			return nil
		})
		require.Equal(t, want == xmlrpc.Invalid, err != nil)
	}
}

func TestWhatIsNotReadIsSkipped(t *testing.T) {
	t.Parallel()
	var got []string
	const inner = "<value><struct><member><name>a</name><value><array><data><value><i4>not read</i4></value><value>" +
		"<ex:nil/></value></data></array></value></member></struct></value>"
	err := read("<value><array><data><value>1</value>"+inner+
		"<value/><value><base64/></value><value>5</value></data></array></value>", func(v *xmlrpc.Value) error {
		return v.Each(func(i int, v *xmlrpc.Value) error {
			if i == 1 {
				require.Equal(t, xmlrpc.Struct, v.Kind()) // half read
			}
			if i != 0 && i != 4 {
				return nil
			}
			text, err := v.Text()
			got = append(got, text)
			return err
		})
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "5"}, got)
}

func TestAValueIsReadOnce(t *testing.T) {
	t.Parallel()
	err := read("<value>1</value>", func(v *xmlrpc.Value) error {
		_, err := v.Text()
		require.NoError(t, err)
		_, err = v.Text()
		return err
	})
	require.ErrorContains(t, err, "the value was read already")
}

func TestTheFirstErrorStays(t *testing.T) {
	t.Parallel()
	err := read("<value>x</value>", func(v *xmlrpc.Value) error {
		_, _ = v.Int() // an error that is overlooked
		text, err := v.Text()
		require.Empty(t, text)
		require.ErrorContains(t, err, `expected int, found string "x"`)
		require.Equal(t, xmlrpc.Invalid, v.Kind())
		return nil
	})
	require.ErrorContains(t, err, `expected int, found string "x"`)
}

type point struct{ x, y int }

func (p *point) cell(i int, v *xmlrpc.Value) (err error) {
	switch i {
	case 0:
		p.x, err = v.Int()
	case 1:
		p.y, err = v.Int()
	}
	return err
}

func TestRowsAreReadByPosition(t *testing.T) {
	t.Parallel()
	row := func(cells ...string) string {
		return "<value><array><data><value><i4>" + strings.Join(cells,
			"</i4></value><value><i4>") + "</i4></value></data></array></value>"
	}
	rows := "<value><array><data>" + row("1", "2") + row("3", "4", "5") + row("6") + "</data></array></value>"
	var got []point
	require.NoError(t, read(rows, func(v *xmlrpc.Value) (err error) {
		got, err = rowsOf(v, (*point).cell)
		return err
	}))
	require.Equal(t, []point{{1, 2}, {3, 4}, {6, 0}}, got)
	require.ErrorContains(t, read("<value><array><data>"+row("1", "x")+"</data></array></value>",
		func(v *xmlrpc.Value) (err error) {
			_, err = rowsOf(v, (*point).cell)
			return err
		}), `[0][1]: "x" is not an integer`)
}
