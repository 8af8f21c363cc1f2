package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// funcs returns the functions of the templates.
func funcs(loc *time.Location) template.FuncMap {
	return template.FuncMap{
		"count":      count,
		"orders":     func(n int) string { return plural(n, "order") },
		"plural":     plural,
		"money":      money,
		"shown":      shown,
		"lines":      shownLines,
		"digest":     shortDigest,
		"outcome":    outcomeWords,
		"action":     actionWords,
		"class":      classWords,
		"when":       func(t time.Time) moment { return momentOf(t, loc) },
		"lasted":     lasted,
		"query":      query,
		"percent":    percent,
		"runname":    runName,
		"who":        who,
		"ended":      endWords,
		"sizes":      func() []int { return pageSizes },
		"grouprql":   groupFilter,
		"eventwords": eventWords,
		"eventname":  eventName,
	}
}

// count formats a number with spaces between groups of digits, such as 12 345.
func count(n int) string { return text.Grouped(strconv.Itoa(n)) }

// plural formats a number of things, such as 1 order or 12 345 orders.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// money formats an amount, such as 1 012.40 USD.
func money(m commerce.Money) string {
	if m.IsZero() {
		return ""
	}
	places := max(2, -int(m.Amount.Exponent()))
	amount := text.Grouped(m.Amount.StringFixed(int32(min(places, 64))))
	if m.Currency == "" {
		return amount + " without a currency"
	}
	return amount + " " + shown(m.Currency)
}

// maxShown is how many bytes of a text a page shows.
const maxShown = 2000

// shown returns a text of limited length on one line. Characters that are not visible, or that reorder text, are shown
// as their codes, such as \u202e.
func shown(v any) string {
	return visible(text.Clip(strings.Join(strings.Fields(fmt.Sprint(v)), " "), maxShown), "")
}

// shownLines is shown for text of several lines.
func shownLines(v any) string { return visible(text.Clip(fmt.Sprint(v), 32<<10), "\n") }

func visible(s, keep string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case text.Shown(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shortDigest returns the first twelve digits of a digest.
func shortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return shown(d[:min(12, len(d))])
}

// moment is a time on a page.
type moment struct {
	UTC  string // for machines, and in the tooltip
	Text string // in the zone of the page, with the date if it is not today
}

func momentOf(t time.Time, loc *time.Location) moment {
	if t.IsZero() {
		return moment{Text: "unknown"}
	}
	layout := "2006-01-02 15:04 MST"
	local, now := t.In(loc), time.Now().In(loc)
	if local.Format(time.DateOnly) == now.Format(time.DateOnly) {
		layout = "15:04 MST"
	}
	return moment{UTC: t.UTC().Format("2006-01-02T15:04:05Z"), Text: local.Format(layout)}
}

// lasted formats a duration, such as 1 h 02 min.
func lasted(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// query returns a relative link with pairs of names and values; pairs without a value are omitted.
func query(page string, pairs ...any) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := fmt.Sprint(pairs[i+1]); value != "" {
			values.Set(fmt.Sprint(pairs[i]), value)
		}
	}
	if len(values) == 0 {
		return page
	}
	return page + "?" + values.Encode()
}

// outcomeNames are outcomes in the words of the pages.
var outcomeNames = map[protocol.Outcome]string{
	protocol.Completed:        "verified",
	protocol.Progressing:      "sent, not verified yet",
	protocol.FailedAgain:      "failed again",
	protocol.FalseSuccess:     "done in Commerce only",
	protocol.NotMoved:         "sent, proven unchanged",
	protocol.Unknown:          "unknown",
	protocol.Skipped:          "changed, skipped",
	protocol.Blocked:          "blocked",
	protocol.ClaimedElsewhere: "claimed by another run",
	protocol.NotStarted:       "not started",
}

// outcomeWords returns an outcome in the words of the pages.
func outcomeWords(o protocol.Outcome) string { return cmp.Or(outcomeNames[o], shown(o)) }

// decisions are the decisions in the words of the pages, and who acts next on their orders.
var decisions = map[rules.Action]struct{ words, next string }{
	rules.Resubmit:   {"Resubmit", "this plan, after an approval if it needs one"},
	rules.Wait:       {"Wait", "a later plan, when they are due"},
	rules.Hold:       {"Hold", "a person or the vendor, then a later plan"},
	rules.Quarantine: {"Quarantine", "a person: a new order, or support"},
	rules.Complete:   {"Complete by hand", "a person: complete them in Commerce"},
	rules.Manual:     {"Needs a person", "a person"},
}

// actionWords returns a decision in the words of the pages.
func actionWords(a rules.Action) string { return cmp.Or(decisions[a].words, shown(a)) }

// actsNext says who acts next on the orders of a decision.
func actsNext(a rules.Action) string { return cmp.Or(decisions[a].next, "a person") }

// classWords returns a class of failures in words.
func classWords(c failure.Class) string {
	if c == failure.AlreadyProvisioned {
		return "already provisioned"
	}
	return shown(c)
}
