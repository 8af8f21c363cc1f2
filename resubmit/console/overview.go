package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// overviewBody is the page of the failed orders.
type overviewBody struct {
	Doc     *report.Document // nil if the orders were never read
	Digest  string           // of what was read
	Age     time.Duration
	Old     bool
	Reading *state.Reading // the last one; nil if there is none
	Chart   any            // template.HTML of the chart
	Groups  []report.Group // the largest ones
	More    int            // groups that are not shown
	Calls   string         // what reading again costs
	Denied  string         // why the user may not read or plan
	Form    *overviewForm
}

// overviewForm is what was selected.
type overviewForm struct {
	Groups, Vendors, Types []string
	Query, Numbers         string
}

// HasGroup reports whether a group was selected, by its place.
func (f *overviewForm) HasGroup(i int) bool { return slices.Contains(f.Groups, strconv.Itoa(i)) }

// HasVendor reports whether a vendor was selected.
func (f *overviewForm) HasVendor(v string) bool { return slices.Contains(f.Vendors, v) }

// HasType reports whether a type was selected.
func (f *overviewForm) HasType(t string) bool { return slices.Contains(f.Types, t) }

// maxGroups is how many groups of failures the page shows.
const maxGroups = 50

// oldAfter is the age of what was read from which on the page warns.
const oldAfter = 15 * time.Minute

// overviewPage shows the failed orders as they were read last.
func overviewPage(v *visit) error { return v.showOverview(nil) }

func (v *visit) showOverview(failed error) error {
	body := &overviewBody{Denied: v.denied(Control, "plan", nil), Form: v.overviewForm()}
	status, err := v.site.dir.Status()
	if err != nil {
		return err
	}
	body.Reading = status.Reading
	p, leave, err := v.site.snapshot()
	if err != nil {
		return err
	}
	if p != nil {
		defer leave()
		if err := v.site.fillOverview(body, p); err != nil {
			return err
		}
	}
	return v.show("overview", head{Title: "Failed orders", Page: "overview", Body: body}, failed)
}

// snapshot returns what was read last; nil if nothing was.
func (s *site) snapshot() (*shared, func(), error) {
	path := s.dir.OverviewPath()
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	return s.plans.use(path, "")
}

// fillOverview adds what was read last.
func (s *site) fillOverview(body *overviewBody, p *shared) error {
	doc, err := s.documents.get("overview "+p.Digest(), true, func() (*runDocument, error) {
		in := report.Input{Plan: p.Plan, Location: s.cfg.Location, OmitItems: true}
		if observed := s.dir.Config().Observed; observed != nil {
			if err := callback.Do(func() error { in.Observed = observed(); return nil }); err != nil {
				s.cfg.Logger.Error("Config.Observed failed, so that the chart does not show its maintenance", "error", err)
			}
		}
		made, err := report.New(in)
		return &runDocument{Document: made}, err
	})
	if err != nil {
		return err
	}
	body.Doc, body.Digest = doc.Document, p.Digest()
	body.Age = max(0, time.Since(p.Header().CreatedAt))
	body.Old = body.Age > oldAfter
	body.Groups = doc.Reasons[:min(maxGroups, len(doc.Reasons))]
	body.More = len(doc.Reasons) - len(body.Groups)
	body.Calls = fmt.Sprintf("about %s", plural(max(1, doc.All.Orders/100+1), "call"))
	body.Chart = doc.Chart().SVG(report.ChartOptions{
		ClassLink: func(c failure.Class) string {
			return query("orders", "q", filter.MessageClass(nil, c).String())
		},
		WindowLink: func(id string) string { return query("orders", "window", id) },
	})
	return nil
}

func (v *visit) overviewForm() *overviewForm {
	f := &overviewForm{
		Groups: v.r.Form["group"], Vendors: v.r.Form["vendor"], Types: v.r.Form["type"],
		Query: strings.TrimSpace(v.field("q")), Numbers: strings.TrimSpace(v.field("numbers")),
	}
	if len(f.Query) > maxQuery {
		f.Query = f.Query[:0]
	}
	return f
}

// readAgain lists the failed orders.
func readAgain(v *visit) error {
	k, err := v.site.tasks.start("Reading the failed orders", v.by(), func(ctx context.Context, _ *task) (string, error) {
		if err := v.site.dir.Read(ctx); err != nil {
			return "", err
		}
		return "./", v.site.prepareOverview()
	})
	return v.started(k, err)
}

// prepareOverview makes what the page needs, which takes a while for many orders.
func (s *site) prepareOverview() error {
	p, leave, err := s.snapshot()
	if p == nil {
		return err
	}
	defer leave()
	return s.fillOverview(new(overviewBody), p)
}

// makePlan makes a plan of the orders that were selected.
func makePlan(v *visit) error {
	cfg, what, err := v.selected()
	if err != nil {
		return v.showOverview(err)
	}
	k, err := v.startPlan(what, cfg, "")
	if err != nil {
		return v.showOverview(err)
	}
	return v.started(k, nil)
}

// startPlan makes a plan in the background. what says of which orders, and purpose what for; "" for none.
func (v *visit) startPlan(what string, cfg *resubmit.PlanConfig, purpose string) (*task, error) {
	by := v.user
	return v.site.tasks.start("Making a plan for "+what, by, func(ctx context.Context, k *task) (string, error) {
		cfg.Progress = func(p resubmit.PlanProgress) { k.setProgress("Making a plan: " + p.String() + ".") }
		run, err := v.site.dir.Plan(ctx, cfg, state.PlanOptions{By: by, For: purpose})
		if err != nil {
			return "", err
		}
		return query("plan", "run", run.ID), nil
	})
}

// selected returns how to plan the orders that were selected, and which these are in words.
func (v *visit) selected() (*resubmit.PlanConfig, string, error) {
	base := v.site.dir.Config()
	cfg := base.Plan
	if v.field("all") != "" {
		return &cfg, "all failed orders", nil
	}
	terms, err := v.terms(&base)
	if err != nil {
		return nil, "", err
	}
	if len(terms) == 0 {
		return nil, "", wrongField("q", "Nothing is selected. Select groups, vendors or types, or give a filter or numbers.")
	}
	f := filter.And(terms...)
	cfg.Filter = filter.And(base.Plan.Filter, f)
	if err := filter.Validate(cfg.Filter); err != nil {
		return nil, "", wrongField("q", "%s", strings.TrimPrefix(err.Error(), "filter: "))
	}
	return &cfg, text.Short(f.String()), nil
}

// terms returns the conditions of the form.
func (v *visit) terms(base *state.Config) ([]filter.Filter, error) {
	var terms []filter.Filter
	form := v.overviewForm()
	if len(form.Vendors) > 0 {
		terms = append(terms, filter.VendorAccounts(form.Vendors...))
	}
	if len(form.Types) > 0 {
		types := make([]commerce.OrderType, len(form.Types))
		for i, t := range form.Types {
			types[i] = commerce.OrderType(t)
		}
		terms = append(terms, filter.Types(types...))
	}
	if groups := v.r.Form["group"]; len(groups) > 0 {
		f, err := v.groups(groups, base.Policy.Classifier)
		if err != nil {
			return nil, err
		}
		terms = append(terms, f)
	}
	if len(v.field("q")) > maxQuery {
		return nil, wrongField("q", "the filter is longer than %d bytes", maxQuery)
	}
	if form.Query != "" {
		f, err := filter.Parse(form.Query, filter.WithClassifier(base.Policy.Classifier))
		if err != nil {
			return nil, wrongField("q", "%v", err)
		}
		terms = append(terms, f)
	}
	numbers := strings.FieldsFunc(form.Numbers, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(numbers) > 0 {
		terms = append(terms, filter.Or(filter.Numbers(numbers...), filter.IDs(numbers...)))
	}
	return terms, nil
}

// groups returns the filter for groups of the page, by their places in it.
func (v *visit) groups(places []string, classifier *failure.Classifier) (filter.Filter, error) {
	p, leave, err := v.site.snapshot()
	if err != nil {
		return nil, err
	}
	if p == nil || p.Digest() != v.field("read") {
		if p != nil {
			leave()
		}
		return nil, conflict("The orders were read again, so the groups may be others. Select again. Nothing was planned.")
	}
	defer leave()
	body := new(overviewBody)
	if err := v.site.fillOverview(body, p); err != nil {
		return nil, err
	}
	var groups []filter.Filter
	for i, g := range body.Groups {
		if slices.Contains(places, fmt.Sprint(i)) {
			groups = append(groups, filter.And(filter.MessageClass(classifier, g.Class), filter.Templates(g.Template)))
		}
	}
	if len(groups) == 0 {
		return nil, wrongField("q", "There is no such group.")
	}
	return filter.Or(groups...), nil
}
