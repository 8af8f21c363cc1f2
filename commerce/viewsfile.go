package commerce

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// viewFile is a file of views.
type viewFile struct {
	Views []View `json:"views"`
}

var viewFormat = jsonfile.Format[viewFile]{Name: "commerce: views", MaxBytes: 1 << 20, Check: (*viewFile).check}

func (f *viewFile) check() error {
	if len(f.Views) == 0 {
		return errors.New(`has no view: "views" must be a list of at least one`)
	}
	for i, v := range f.Views {
		path := fmt.Sprintf("views[%d]", i)
		if err := v.Validate(); err != nil {
			return jsonfile.Errorf(path, "view %q: %w", v.Name, err)
		}
		if j := slices.IndexFunc(f.Views[:i], func(o View) bool { return o.Name == v.Name }); j >= 0 {
			return jsonfile.Errorf(path+".name", "%q is the name of views[%d] too; names must differ", v.Name, j)
		}
	}
	return nil
}

// LoadViews reads views from JSON:
//
//	{"views":[{"name":"Failed sales","statuses":["PF"],"types":["SO"],
//	  "placedFrom":"2026-11-01T00:00:00Z","placedTo":"2026-12-01T00:00:00+01:00","sort":"newest"}]}
//
// of which only name and statuses are required. Anything that is not understood
// is an error that names the line, the view and the key.
func LoadViews(r io.Reader) ([]View, error) {
	f, err := viewFormat.Read(r)
	return f.Views, err
}

// LoadViewsFile is [LoadViews] for a file.
func LoadViewsFile(path string) ([]View, error) {
	f, err := viewFormat.ReadFile(path)
	return f.Views, err
}

// SaveViews writes views as JSON for [LoadViews]. Nothing is written
// when there are none, when one of them is not valid or when a name occurs twice.
func SaveViews(w io.Writer, views []View) error {
	return viewFormat.Write(w, viewFile{views})
}
