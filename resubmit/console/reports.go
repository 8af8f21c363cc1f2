package console

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// fresh is how long the report of a run that is not over is shown again.
const fresh = 5 * time.Second

// documents keeps the last reports, which take long to make for large plans.
type documents struct {
	making singleflight.Group

	mu   sync.Mutex
	kept []keptDocument // the newest ones last
}

type keptDocument struct {
	key string
	at  time.Time // when it was made; zero if it does not change any more
	doc *runDocument
}

// runDocument is a report without its single orders, of which it has the outcomes in the order of the plan; none if the
// report has no orders.
type runDocument struct {
	*report.Document
	outcomes []protocol.Outcome
}

// get returns the report with a key, and builds it if it is not kept. final means that it does not change any more.
func (d *documents) get(key string, final bool, build func() (*runDocument, error)) (*runDocument, error) {
	if doc := d.find(key); doc != nil {
		return doc, nil
	}
	made, err, _ := d.making.Do(key, func() (any, error) {
		doc, err := build()
		if err != nil {
			return nil, err
		}
		k := keptDocument{key: key, doc: doc}
		if !final {
			k.at = time.Now()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.kept = append(d.kept, k)
		d.kept = d.kept[max(0, len(d.kept)-maxPlans):]
		return doc, nil
	})
	if err != nil {
		return nil, err
	}
	return made.(*runDocument), nil //nolint:errcheck // see above
}

func (d *documents) find(key string) *runDocument {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.kept) - 1; i >= 0; i-- {
		if k := &d.kept[i]; k.key == key {
			if k.at.IsZero() || time.Since(k.at) < fresh {
				return k.doc
			}
			return nil
		}
	}
	return nil
}

// documentOf returns the report of a run, also of one that is not over, without its single orders.
func (s *site) documentOf(run *state.Run) (*runDocument, error) {
	key := run.ID
	if run.Ended() {
		key += " ended"
	}
	return s.documents.get(key, run.Ended(), func() (*runDocument, error) {
		doc, err := s.dir.Document(run)
		if err != nil {
			return nil, err
		}
		short := *doc
		short.Items = nil
		d := &runDocument{Document: &short}
		for i := range doc.Items {
			d.outcomes = append(d.outcomes, doc.Items[i].Outcome)
		}
		return d, nil
	})
}

// reportTypes are the formats of a report.
var reportTypes = map[string]string{
	"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json; charset=utf-8",
}

// reportFilePage downloads the report of a run: the file of the run, or what is known so far if there is none, or
// if the run was continued and killed since.
func reportFilePage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	format := v.field("format")
	if reportTypes[format] == "" {
		return badRequest("there is no report in the format %q; give html, csv or json", text.Short(format))
	}
	write, done, err := v.site.reportOf(run, format, v.user)
	if err != nil {
		return err
	}
	defer done()
	h := v.w.Header()
	h.Set("Content-Type", reportTypes[format])
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="report-%s.%s"`, runName(run), format))
	v.w.WriteHeader(http.StatusOK)
	if err := write(v.w); err != nil && v.r.Context().Err() == nil {
		return fmt.Errorf("%w: %w", errIncomplete, err)
	}
	return nil
}

// reportOf returns a function that writes the report of a run, and one to call at the end.
func (s *site) reportOf(run *state.Run, format, user string) (write func(io.Writer) error, done func(), err error) {
	if run.Ended() && !reportHead(s.dir.Path(run, reportFile)).madeAt.Before(run.AppliedAt) {
		f, err := os.Open(s.dir.Path(run, "report."+format))
		if err == nil {
			return func(w io.Writer) error { _, err := io.Copy(w, f); return err }, func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
	}
	if done, err = s.beginReport(user); err != nil {
		return nil, nil, err
	}
	doc, err := s.dir.Document(run)
	if err != nil {
		done()
		return nil, nil, err
	}
	formats := map[string]func(io.Writer) error{"html": doc.WriteHTML, "csv": doc.WriteCSV, "json": doc.WriteJSON}
	return formats[format], done, nil
}

// maxReports is how many reports are made at a time for downloads: each has all orders of its plan in memory.
const maxReports = 2

// beginReport returns an error if the user makes another report, or if too many are being made.
func (s *site) beginReport(user string) (done func(), err error) {
	if !s.beginScan(user) {
		return nil, errScanning
	}
	select {
	case s.reports <- struct{}{}:
		return func() { <-s.reports; s.endScan(user) }, nil
	default:
		s.endScan(user)
		return nil, &problem{status: http.StatusServiceUnavailable, text: "too many reports are being made; try it again"}
	}
}
