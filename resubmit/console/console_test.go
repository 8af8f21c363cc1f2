package console

import "testing"

func TestTemplatesParse(t *testing.T) {
	if _, err := parseTemplates(nil); err != nil {
		t.Fatal(err)
	}
}
