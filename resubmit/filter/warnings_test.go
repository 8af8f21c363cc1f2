package filter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	const selectsNothing = " selects nothing, since the view Failed Orders lists only the status PF"
	for text, want := range map[string][]string{
		"status=PF":        nil,
		"everything()":     nil,
		"channel=reseller": nil,
		"reason=failed":    nil,
		"in(type,(SO,CH))": nil,
		"type=XX":          {`type "XX" is not a known code; it selects only orders of customised flows`},
		"type=SX":          {`type "SX" is not a known code: did you mean SO (sales)?`},
		"type=so":          {`type "so" is not a known code: did you mean SO (sales)?`},
		"type=renewel":     {`type "renewel" is not a known code: did you mean RN (renewal)?`},
		"provisioningStatus=failed": {`provisioningStatus "failed" is not a known code: did you mean ` +
			`FAILED (failed)?`},
		"status=failed": {
			`status "failed" is not a known code: did you mean PF (provisioning failed)?`,
			"eq(status,failed)" + selectsNothing,
		},
		"status=PROVISIONING_FAILED": {
			`status "PROVISIONING_FAILED" is not a known code: did you mean PF (provisioning failed)?`,
			"eq(status,PROVISIONING_FAILED)" + selectsNothing,
		},
		"status=CP":          {"eq(status,CP)" + selectsNothing},
		"in(status,(PF,CP))": nil,
		"not(or(type=XX,and(type=XX,vendor=1)))": {
			`type "XX" is not a known code; it selects only orders of customised flows`,
		},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			f, err := filter.Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, filter.Warnings(f, failedOnly()))
		})
	}
	require.Empty(t, filter.Warnings(filter.Statuses("CP"), commerce.View{}))
	require.Empty(t, filter.Warnings(nil, commerce.View{}))
}

func provisioning(t *testing.T, code string) filter.Filter {
	f, err := filter.Parse(`eq(provisioningStatus,"` + code + `")`)
	require.NoError(t, err)
	return f
}

func failedOnly() commerce.View {
	return commerce.View{Name: "Failed Orders", Statuses: []commerce.Status{commerce.StatusProvisioningFailed}}
}

func TestWarningsKnowsEveryConstant(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../commerce/status.go", nil, 0)
	require.NoError(t, err)
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		require.True(t, ok)
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		f := map[string]filter.Filter{
			"Status": filter.Statuses(commerce.Status(code)), "OrderType": filter.Types(commerce.OrderType(code)),
			"ProvisioningStatus": provisioning(t, code),
		}[kind.Name]
		if f != nil {
			n++
			require.Empty(t, filter.Warnings(f, commerce.View{}))
		}
		return true
	})
	require.Greater(t, n, 45)
}
