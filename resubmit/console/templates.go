package console

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

//go:embed pages static
var files embed.FS

// parseTemplates returns the template of each page, by its name.
func parseTemplates(loc *time.Location) (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(funcs(loc)).ParseFS(files, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	pages := make(map[string]*template.Template, len(names))
	for _, name := range names {
		page, err := template.Must(shared.Clone()).ParseFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return pages, nil
}

const staticPath = "/static/"

// static serves the style sheet, the script and the icon. They have no secrets.
func static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		types := map[string]string{
			"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8",
			"icon.svg": "image/svg+xml; charset=utf-8",
		}
		content, err := files.ReadFile("static/" + name)
		if err != nil || types[name] == "" || r.URL.Path != staticPath+name {
			http.Error(w, "there is no such file", http.StatusNotFound)
			return
		}
		if name == "console.css" {
			content = append(content, report.CSS()...)
		}
		w.Header().Set("Content-Type", types[name])
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(content) //nolint:gosec // embedded files; an error means that the browser is gone
	})
}
